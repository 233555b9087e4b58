import ArgumentParser
import ContentStore
import HTTPClient
import OCI
import Registry

/// `spegel pull`: pulls an image through a node.
struct PullCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pull",
        abstract: "Pull an image through a node, and show the source of each layer.",
        usage: "spegel pull IMAGE [--to DIR] [OPTION …]",
        discussion: """
            It asks the node only, never the upstream registry, and verifies each digest. Without --to it discards \
            the bytes.

            Example: spegel pull docker.io/library/alpine:3 --to ./alpine
            """
    )

    @Argument(help: ArgumentHelp("REGISTRY/REPOSITORY:TAG or @DIGEST.", valueName: "image"))
    var image: ImageArgument

    @Option(help: ArgumentHelp("Write an OCI image layout; keeps its content.", valueName: "dir"))
    var to: String?

    @Option(help: ArgumentHelp("The node's registry.", valueName: "url"))
    var address = NodeAddress.local(ListenAddress.registry)

    @Option(help: ArgumentHelp("Such as linux/arm64; default: this machine's.", valueName: "platform"))
    var platform: Platform?

    @Option(
        help: ArgumentHelp(
            "Credentials for the registry; default: \(CredentialFolder.standardPath).",
            valueName: "dir"
        )
    )
    var basicAuthDir: String?

    @Option(help: ArgumentHelp("Format of the output.", valueName: "format"))
    var output = OutputFormat.text

    func validate() throws {
        guard platform ?? Platform.native != nil else {
            throw ValidationError("--platform: this machine's is unknown; give one, such as linux/arm64.")
        }
    }

    func run() async throws {
        guard let platform = platform ?? Platform.native else { return }
        let pull = ImagePull(
            url: address.url,
            reference: image.reference,
            platform: platform,
            isPlatformGiven: self.platform != nil,
            authorization: try Authorization.field(folder: basicAuthDir),
            writer: try to.map { try ImageLayoutWriter(path: $0) },
            display: PullDisplay(isShown: output == .text, hasBars: Terminal.isInteractive)
        )
        let outcome = try await pull.run()
        switch output {
        case .text: Terminal.write(text(outcome))
        case .json: try Terminal.write(json: PullDocument(outcome, of: image.reference, to: to))
        }
    }

    private func text(_ outcome: ImagePull.Outcome) -> String {
        let pulled = outcome.pieces.reduce(0) { $0 + $1.shares.reduce(0) { $0 + $1.bytes } }
        let rate = Human.rate(pulled, outcome.time)
        var text = "\(image.reference) is \(outcome.digest)\n"
        text +=
            "All \(outcome.pieces.count) digests match: \(Human.bytes(pulled)) in \(Human.time(outcome.time)), \(rate)"
        let shares = outcome.shares.map { "\(Human.bytes($0.bytes)) from \($0.source ?? "this node")" }
        text += shares.isEmpty ? ".\n" : "; \(shares.joined(separator: ", ")).\n"
        if !outcome.skipped.isEmpty {
            text += "Skipped \(Human.count(outcome.skipped.count, "foreign layer", "foreign layers")): no node has "
            text +=
                outcome.skipped.count == 1
                ? "it, runtimes get it from its URLs.\n" : "them, runtimes get them from their URLs.\n"
        }
        if let to { text += "Written to \(to).\n" }
        return text
    }
}

extension ImagePull.Outcome {
    /// The bytes of each source, the largest first.
    var shares: [BlobDownload.Share] {
        var shares: [BlobDownload.Share] = []
        for share in pieces.flatMap(\.shares) {
            if let position = shares.firstIndex(where: { $0.source == share.source }) {
                shares[position].bytes += share.bytes
            } else {
                shares.append(share)
            }
        }
        return shares.sorted { $0.bytes > $1.bytes }
    }
}
