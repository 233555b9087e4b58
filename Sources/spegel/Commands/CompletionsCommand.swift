import ArgumentParser

/// `spegel completions`: prints a completion script for a shell.
struct CompletionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completions",
        abstract: "Print a completion script for a shell.",
        usage: "spegel completions bash|zsh|fish",
        discussion: "Example: spegel completions bash > /etc/bash_completion.d/spegel"
    )

    /// The shells with a script.
    enum Shell: String, ExpressibleByArgument, CaseIterable {
        case bash, zsh, fish
    }

    @Argument(help: "The shell.")
    var shell: Shell

    func run() throws {
        let shell: CompletionShell =
            switch self.shell {
            case .bash: .bash
            case .zsh: .zsh
            case .fish: .fish
            }
        Terminal.write(Self.script(for: shell).withLineEnd)
    }

    /// A script that completes the rare flags too.
    static func script(for shell: CompletionShell) -> String {
        RareFlags.$areShown.withValue(true) { Spegel.completionScript(for: shell) }
    }
}
