import ArgumentParser

/// `spegel completions`: lets a shell complete commands and flags.
struct CompletionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completions",
        abstract: "Print a script that lets a shell complete commands and flags.",
        usage: "spegel completions bash|zsh|fish",
        discussion: "Example: spegel completions bash > /etc/bash_completion.d/spegel"
    )

    /// The shells that there is a script for.
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
