import ArgumentParser
import Glibc

/// A stateless, peer-to-peer OCI registry mirror: the program's table of contents.
struct Spegel: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "spegel",
        abstract: "Share container images between the nodes of a cluster, straight from containerd's content store.",
        discussion: """
            Each flag also has an environment variable (REGISTRY_ADDR for --registry-addr) and a key in the YAML file \
            that --config names. A flag wins over its variable, and that over the file.
            """,
        version: Version.text,
        subcommands: [
            RegistryCommand.self, ConfigurationCommand.self, CleanupCommand.self, CleanupWaitCommand.self,
            StatusCommand.self, ResolveCommand.self, PullCommand.self, KeyCommand.self, CompletionsCommand.self,
            VersionCommand.self,
        ]
    )
}

@main
enum Main {
    static func main() async {
        // A closed connection is an error of that connection, not a signal to the process.
        signal(SIGPIPE, SIG_IGN)
        StopSignals.endProcessOne()
        SpareMemory.limitHeaps()
        NameService.useHostsFileAndDNS()
        let prepared: PreparedArguments
        do {
            prepared = try PreparedArguments(
                arguments: Array(CommandLine.arguments.dropFirst()),
                environment: Environment.current,
                root: Spegel.self
            )
        } catch {
            fail(sentence("\(error)") + " See 'spegel --help'.", code: .validationFailure)
        }
        do {
            var command = try Spegel.parseAsRoot(prepared.arguments)
            if let settable = command as? any SettableCommand, settable.common.printConfig {
                printSettings(of: settable, sources: prepared.sources)
            } else if var asynchronous = command as? any AsyncParsableCommand {
                try DescriptorLimit.check()
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            finish(with: error, prepared)
        }
    }

    /// Prints help and version on standard output, an error as one line on standard error. Exit code 64 stands for a
    /// wrong command line, 1 for other errors.
    private static func finish(with error: any Error, _ prepared: PreparedArguments) -> Never {
        let code = Spegel.exitCode(for: error)
        if code.isSuccess { Spegel.exit(withError: error) }
        if error is ExitCode { exit(code.rawValue) }
        var text = ExpectedValue.message(for: error).split(separator: "\n").joined(separator: " ")
        if let note = prepared.note(onMessage: text) { text += " (\(note))" }
        text = sentence(text)
        if code == .validationFailure { text += " See '\(prepared.commandPath) --help'." }
        fail(text, code: code)
    }

    private static func sentence(_ text: String) -> String {
        text.hasSuffix(".") || text.hasSuffix("?") ? text : text + "."
    }

    private static func fail(_ text: String, code: ExitCode) -> Never {
        let line = Array("spegel: \(text)\n".utf8)
        _ = write(STDERR_FILENO, line, line.count)
        exit(code.rawValue)
    }

    private static func printSettings(of command: some SettableCommand, sources: [String: SettingSource]) {
        let secrets = type(of: command).secretSettings
        print(EffectiveSettings(of: command).yaml(secrets: secrets, sources: sources), terminator: "")
    }
}
