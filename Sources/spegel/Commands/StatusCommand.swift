import ArgumentParser
import DebugAPI

/// `spegel status`: shows the state of a running node.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show a running node: peers, images, transfers, traffic saved.",
        usage: "spegel status [--address URL] [--basic-auth-dir DIR] [--output FORMAT]",
        discussion: """
            Exit code 1 if the node is not ready. The page at /debug/web/ shows the same.

            Example: spegel status --address http://10.0.0.1:9090
            """
    )

    @Option(help: ArgumentHelp("The node's --metrics-addr.", valueName: "url"))
    var address = NodeAddress.local(ListenAddress.metrics)

    @Option(
        help: ArgumentHelp("Credentials for /debug/, from another machine; default: none.", valueName: "dir")
    )
    var basicAuthDir: String?

    @Option(help: ArgumentHelp("Format of the output.", valueName: "format"))
    var output = OutputFormat.text

    func run() async throws {
        let authorization = try basicAuthDir.flatMap { try Authorization.field(folder: $0) }
        let answer = try await NodeAPI(url: address.url, authorization: authorization).status()
        switch output {
        case .text: Terminal.write(StatusText(answer.document).lines.joined(separator: "\n") + "\n")
        case .json: Terminal.write(String(decoding: answer.bytes, as: UTF8.self).withLineEnd)
        }
        if !answer.document.node.isReady { throw ExitCode(1) }
    }
}
