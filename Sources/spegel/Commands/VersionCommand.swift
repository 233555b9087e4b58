import ArgumentParser

/// `spegel version`
struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "version", abstract: "Print the version.")

    @Option(
        name: [.customLong("format"), .customLong("output")],
        help: ArgumentHelp("text or json.", valueName: "format")
    )
    var format = OutputFormat.text

    func run() {
        print(text)
    }

    /// What is printed.
    var text: String {
        switch format {
        case .text: "spegel \(Version.text)"
        case .json: #"{"version":"\#(Version.text)"}"#
        }
    }
}
