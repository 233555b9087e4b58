import ArgumentParser
import DebugAPI

/// `spegel status`: what a running node knows of itself.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show a running node: peers, images, transfers, and what was saved.",
        usage: "spegel status [--address URL] [--output FORMAT]",
        discussion: """
            It ends with exit code 1 when the node is not ready. It shows what the page at /debug/web/ does.

            Example: spegel status --address http://10.0.0.1:9090
            """
    )

    @Option(help: ArgumentHelp("The node's --metrics-addr.", valueName: "url"))
    var address = NodeAddress.local(ListenAddress.metrics)

    @Option(help: ArgumentHelp("For a person or a program.", valueName: "format"))
    var output = OutputFormat.text

    func run() async throws {
        let answer = try await NodeAPI(url: address.url).status()
        switch output {
        case .text: Terminal.write(StatusText(answer.document).lines.joined(separator: "\n") + "\n")
        case .json: Terminal.write(String(decoding: answer.bytes, as: UTF8.self).withLineEnd)
        }
        if !answer.document.node.isReady { throw ExitCode(1) }
    }
}
