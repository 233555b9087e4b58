import ArgumentParser

/// `spegel resolve`: who holds an image.
struct ResolveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resolve",
        abstract: "Ask a running node who holds an image and each of its layers.",
        usage: "spegel resolve IMAGE [--address URL] [--output FORMAT]",
        discussion: """
            It ends with exit code 1 when a part of the image is held by nobody. A digest alone may be asked for too.

            Example: spegel resolve docker.io/library/alpine:3
            """
    )

    @Argument(help: ArgumentHelp("The image, or a digest.", valueName: "image"))
    var image: String

    @Option(help: ArgumentHelp("The node's --metrics-addr.", valueName: "url"))
    var address = NodeAddress.local(ListenAddress.metrics)

    @Option(help: ArgumentHelp("For a person or a program.", valueName: "format"))
    var output = OutputFormat.text

    func run() async throws {
        let answer = try await NodeAPI(url: address.url).resolve(image)
        let text = ResolveText(answer.document)
        switch output {
        case .text: Terminal.write(text.lines.joined(separator: "\n") + "\n")
        case .json: Terminal.write(String(decoding: answer.bytes, as: UTF8.self).withLineEnd)
        }
        if !text.isComplete { throw ExitCode(1) }
    }
}
