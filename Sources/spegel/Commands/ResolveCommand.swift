import ArgumentParser

/// `spegel resolve`: shows the providers of an image.
struct ResolveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resolve",
        abstract: "Show the providers of an image and of each layer.",
        usage: "spegel resolve IMAGE [--address URL] [--basic-auth-dir DIR] [--output FORMAT]",
        discussion: """
            It asks a running node. Exit code 1 if a part of the image has no provider.

            Example: spegel resolve docker.io/library/alpine:3
            """
    )

    @Argument(help: ArgumentHelp("Image, or a digest.", valueName: "image"))
    var image: String

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
        let answer = try await NodeAPI(url: address.url, authorization: authorization).resolve(image)
        let text = ResolveText(answer.document)
        switch output {
        case .text: Terminal.write(text.lines.joined(separator: "\n") + "\n")
        case .json: Terminal.write(String(decoding: answer.bytes, as: UTF8.self).withLineEnd)
        }
        if !text.isComplete { throw ExitCode(1) }
    }
}
