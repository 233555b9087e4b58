import ArgumentParser
import Files
import Monitoring
import Testing

@testable import spegel

/// The documents that are made from the program, held against it. `make docs` sets `SPEGEL_WRITE_DOCS`, and then the
/// tests write them.
struct DocumentationTests {
    private static let root = Files.parent(of: #filePath, levels: 4)
    private static let docs = root + "/docs"

    private func check(_ name: String, _ text: String) throws {
        let path = Self.docs + "/" + name
        if Environment.current["SPEGEL_WRITE_DOCS"] != nil { try Files.replace(path, with: Array(text.utf8)) }
        #expect(try read(path) == text, "docs/\(name) is not up to date: run 'make docs'")
    }

    private func read(_ path: String) throws -> String {
        String(decoding: try #require(try Files.read(path, limit: 1 << 20), "\(path)"), as: UTF8.self)
    }

    @Test func theConfigurationReferenceIsUpToDate() throws {
        try check("configuration.md", ConfigurationReference.text(CommandInfo.spegel()))
    }

    @Test func theManualPageIsUpToDate() throws {
        try check("spegel.1", ManualPage.text(CommandInfo.spegel()))
    }

    @Test func theTablesOfMetricsAreUpToDate() throws {
        let document = try read(Self.docs + "/monitoring.md")
        try check("monitoring.md", try #require(MetricsReference.renewed(document), "the marks of the tables are gone"))
    }

    /// The dashboard, the alerts and the documents name no metric that the program does not have.
    @Test(arguments: [
        "charts/spegel/monitoring/dashboard.json", "charts/spegel/monitoring/alerts.yaml", "docs/monitoring.md",
        "docs/troubleshooting.md", "docs/migrating.md", "docs/kubernetes.md", "README.md",
    ])
    func namedMetricsExist(_ path: String) throws {
        let names = Set(
            SpegelMetrics.families.flatMap { family in
                if case .histogram = family.kind { return ["", "_bucket", "_sum", "_count"].map { family.name + $0 } }
                return [family.name]
            }
        )
        let words = try read(Self.root + "/" + path).split {
            !($0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_"))
        }
        let named = words.map(String.init).filter { word in
            !word.hasSuffix("_") && ["spegel_", "http_re", "process_"].contains { word.hasPrefix($0) }
        }
        for name in named { #expect(names.contains(name), "\(path) names \(name)") }
    }

    @Test func everySettingIsInTheReference() throws {
        let text = try ConfigurationReference.text(CommandInfo.spegel())
        for command in Spegel.configuration.subcommands.compactMap({ $0 as? any SettableCommand.Type }) {
            for setting in command.settingNames {
                #expect(text.contains("`--\(setting) "), "\(setting)")
                #expect(text.contains("`\(setting.uppercased().replacing("-", with: "_"))`"), "\(setting)")
            }
        }
    }

    /// A person sees all of it at once.
    @Test func helpFitsAScreenAndHasAnExample() throws {
        for command in Spegel.configuration.subcommands {
            let name = command.configuration.commandName ?? ""
            // The width of the narrowest terminals.
            let help = command.helpMessage(columns: 80)
            let lines = help.split(separator: "\n", omittingEmptySubsequences: false).count
            // Those with more flags than a screen has lines.
            let limit = ["registry": 40, "configuration": 40][name] ?? 24
            #expect(lines <= limit, "\(name): \(lines) lines\n\(help)")
            if name != "version" { #expect(help.contains("Example: spegel \(name)"), "\(name)") }
        }
    }

    /// What `--help` leaves out, it says where to find. Both come the way that they take from the command line.
    @Test func hiddenHelpListsEverySetting() throws {
        for command in Spegel.configuration.subcommands.compactMap({ $0 as? any SettableCommand.Type }) {
            let name = command.configuration.commandName ?? ""
            let all = try help(name, "--help-hidden")
            for setting in command.settingNames { #expect(all.contains("  --\(setting) <"), "\(name) \(setting)") }
            let short = try help(name, "--help")
            if command.settingNames.contains(where: { !short.contains("  --\($0) <") }) {
                #expect(short.contains("--help-hidden"), "\(name)")
            }
        }
    }

    private func help(_ arguments: String...) throws -> String {
        let prepared = try PreparedArguments(arguments: arguments, environment: [:], root: Spegel.self)
        var command = try Spegel.parseAsRoot(prepared.arguments)
        let request = try #require(throws: (any Error).self) { try command.run() }
        #expect(Spegel.exitCode(for: request).isSuccess)
        return Spegel.fullMessage(for: request)
    }

    @Test(arguments: [CompletionShell.bash, .zsh, .fish])
    func shellsCompleteEverySetting(_ shell: CompletionShell) {
        let script = CompletionsCommand.script(for: shell)
        for setting in RegistryCommand.settingNames {
            let flag = shell == .fish ? "-l '\(setting)'" : "--\(setting)"
            #expect(script.contains(flag), "\(setting)")
        }
    }
}

extension Files {
    /// The folder this number of levels above a path.
    fileprivate static func parent(of path: String, levels: Int) -> String {
        (0..<levels).reduce(path) { path, _ in Files.parent(of: path) ?? "/" }
    }
}
