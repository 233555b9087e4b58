import ContentStore
import HTTPClient
import NIOCore
import NIOHTTP1
import OCI

/// A pull of an image from one node's registry, as containerd would pull it. Content that neither the node nor its peers
/// have is an error. Each digest is verified.
struct ImagePull: Sendable {
    /// The node.
    let url: HTTPURL
    let reference: Reference
    let platform: Platform
    /// Whether the user has named the platform. Otherwise a single manifest may be for another one.
    var isPlatformGiven = false
    /// The field `Authorization` for a registry that requires credentials.
    let authorization: String?
    /// The OCI layout that takes the content; without one the pull discards it.
    let writer: ImageLayoutWriter?
    let display: PullDisplay

    /// The number of layers at a time, as with containerd.
    private static let concurrency = 3

    /// A piece of content that the pull has received.
    struct Piece: Hashable {
        var kind: String
        var digest: Digest
        var size: Int64
        /// Its sources; empty if it was there before.
        var shares: [BlobDownload.Share]
        var resumptions: Int
        var time: Duration
    }

    struct Outcome {
        var digest: Digest
        var pieces: [Piece]
        /// Foreign layers that no node has: runtimes get them from the URLs in the manifest.
        var skipped: [Descriptor] = []
        var time: Duration
    }

    /// A piece that could not be pulled.
    struct Failure: Error, CustomStringConvertible {
        var what: String
        var reason: any Error

        var description: String { "\(what): \(reason)" }
    }

    func run() async throws -> Outcome {
        let start = ContinuousClock.now
        try await checkRegistry()
        var pieces: [Piece] = []
        // The document that the name refers to, then, if it is an index, the manifest of the platform.
        let (root, json) = try await document(reference.digest.map { .digest($0) }, size: nil, pieces: &pieces)
        let top = try read(json, root)
        let choice = try await manifest(of: top, pieces: &pieces)
        if !choice.isOfPlatform, isPlatformGiven {
            pieces += try await configuration(of: choice.document)
        }
        let received = Set(pieces.map(\.digest))
        let (others, skipped) = try await blobs(
            choice.document.manifest.children.filter { !received.contains($0.digest) }
        )
        pieces += others
        if let writer {
            let target = Descriptor(mediaType: top.manifest.mediaType, digest: root, size: Int64(json.count))
            try writer.setImage(reference, to: target)
        }
        display.finish()
        return Outcome(digest: root, pieces: pieces, skipped: skipped, time: ContinuousClock.now - start)
    }

    var request: RegistryRequest {
        var request = RegistryRequest(url: url)
        if let authorization { request.fields.append(("Authorization", authorization)) }
        request.fields.append(("Accept", Self.accept))
        return request
    }

    private static let accept =
        [MediaType.ociIndex, .ociManifest, .dockerManifestList, .dockerManifest].map(\.text).joined(separator: ", ")
        + ", */*"

    // MARK: Blobs

    private func blobs(_ children: [Descriptor]) async throws -> (pieces: [Piece], skipped: [Descriptor]) {
        // An image may name one layer several times.
        var seen: Set<Digest> = []
        let wanted = children.enumerated().filter { seen.insert($0.element.digest).inserted }
        for (_, descriptor) in wanted { display.announce(descriptor.size) }
        var pieces: [Int: Piece] = [:]
        var skipped: [Int: Descriptor] = [:]
        var next = wanted.makeIterator()
        try await withThrowingTaskGroup(of: Numbered.self) { group in
            func addOne() {
                guard let (number, descriptor) = next.next() else { return }
                group.addTask {
                    // The only content of a manifest without a layer type is its configuration.
                    let isConfig = number == 0 && !descriptor.mediaType.isImageLayer
                    let kind = isConfig ? "config" : "layer"
                    return Numbered(number: number, descriptor: descriptor, piece: try await piece(descriptor, kind))
                }
            }
            for _ in 0..<Self.concurrency { addOne() }
            while let done = try await group.next() {
                pieces[done.number] = done.piece
                if done.piece == nil { skipped[done.number] = done.descriptor }
                addOne()
            }
        }
        return (
            pieces.sorted { $0.key < $1.key }.map(\.value), skipped.sorted { $0.key < $1.key }.map(\.value)
        )
    }

    /// A blob, or `nil` for a foreign layer that no node has.
    private func piece(_ descriptor: Descriptor, _ kind: String) async throws -> Piece? {
        do {
            return try await blob(descriptor, kind: kind)
        } catch let failure as Failure where descriptor.mediaType.isForeignLayer {
            guard case BlobDownload.Failure.notFound(received: 0, _)? = failure.reason as? BlobDownload.Failure else {
                throw failure
            }
            let line = PullBoard.label(kind, descriptor.digest) + " " + Human.bytes(descriptor.size).paddedLeft(9)
            display.end(
                descriptor.digest,
                size: descriptor.size,
                line: line + "  foreign, skipped: it has URLs of its own"
            )
            return nil
        }
    }

    private struct Numbered {
        var number: Int
        var descriptor: Descriptor
        var piece: Piece?
    }

    /// Pulls a blob.
    ///
    /// - Parameter onBytes: takes the bytes as well, if the blob is not there already.
    func blob(
        _ descriptor: Descriptor,
        kind: String,
        onBytes: (UnsafeRawBufferPointer) throws -> Void = { _ in }
    ) async throws -> Piece {
        let (digest, size) = (descriptor.digest, descriptor.size)
        let what = "\(kind) \(digest)"
        let start = ContinuousClock.now
        if let writer, try writer.holds(descriptor) {
            let piece = Piece(kind: kind, digest: digest, size: size, shares: [], resumptions: 0, time: .zero)
            display.end(digest, size: size, line: Self.line(piece))
            return piece
        }
        var download = BlobDownload(size: size)
        let sink = try writer?.makeBlob(digest.algorithm)
        var hasher = DigestHasher(digest.algorithm)
        display.begin(kind, digest, size: size)
        do {
            try await get(descriptor, &download) { bytes in
                if let sink { try sink.write(bytes) } else { hasher.update(bytes) }
                try onBytes(bytes)
            }
            if let sink {
                do {
                    _ = try sink.finish(expected: digest)
                } catch ImageLayoutError.digestMismatch(_, let found) {
                    throw WrongBytes(found: found, source: download.shares.last?.source)
                }
            } else {
                let found = hasher.finish()
                guard found == digest else { throw WrongBytes(found: found, source: download.shares.last?.source) }
            }
        } catch let error as RegistryRequest.Failure {
            display.finish()
            throw error
        } catch let error where !(error is CancellationError) {
            display.finish()
            throw Failure(what: what, reason: error)
        }
        let piece = Piece(
            kind: kind,
            digest: digest,
            size: size,
            shares: download.shares.filter { $0.bytes > 0 },
            resumptions: download.resumptions,
            time: ContinuousClock.now - start
        )
        display.end(digest, size: size, line: Self.line(piece))
        return piece
    }

    private func get(
        _ descriptor: Descriptor,
        _ download: inout BlobDownload,
        write: (UnsafeRawBufferPointer) throws -> Void
    ) async throws {
        while true {
            var state = download
            var skipping: Int64 = 0
            var failure: BlobDownload.Failure?
            var isUseful = false
            var problem: String?
            do {
                try await request.get(
                    path(.blob, .digest(descriptor.digest)),
                    range: download.range,
                    head: { head in
                        switch state.receive(Self.head(head)) {
                        case .take(let count): (skipping, isUseful) = (count, true)
                        case .askAgain: break
                        case .fail(let reason): failure = reason
                        }
                        return isUseful
                    },
                    body: { bytes in
                        try Task.checkCancellation()
                        var view = bytes.readableBytesView[...]
                        let skipped = min(Int64(view.count), skipping)
                        skipping -= skipped
                        view = view.dropFirst(Int(skipped))
                        if let reason = state.receive(Int64(view.count)) { throw reason }
                        try view.withUnsafeBytes(write)
                        display.advance(descriptor.digest, to: state.received, source: state.shares.last?.source)
                    }
                )
            } catch RegistryRequest.Failure.cutShort(let reason) {
                problem = reason
            } catch let error as RegistryRequest.Failure where state.received > 0 {
                // The node is gone in the middle of a body; it may come back.
                problem = "\(error)"
            }
            download = state
            if let failure { throw failure }
            if isUseful || problem != nil {
                switch download.end(problem) {
                case .done: return
                case .askAgain: break
                case .fail(let reason): throw reason
                }
            }
            try await Task.sleep(for: download.pause)
        }
    }

    func path(_ kind: DistributionRequest.Kind, _ target: DistributionRequest.Target) -> String {
        DistributionRequest(kind: kind, repository: reference.repository, target: target, registry: reference.registry)
            .path
    }

    /// A digest mismatch.
    struct WrongBytes: Error, CustomStringConvertible {
        var found: Digest
        var source: String?

        var description: String { "digest mismatch: \(source ?? "the node") sent bytes with digest \(found)" }
    }

    static func head(_ head: HTTPResponseHead) -> BlobDownload.Head {
        BlobDownload.Head(
            status: Int(head.status.code),
            length: head.headers.first(name: "Content-Length").flatMap { Int64($0) },
            range: head.headers.first(name: "Content-Range").flatMap(contentRange),
            source: head.headers.first(name: "X-Spegel-Source").map { String($0.prefix(128)) }
        )
    }

    /// `bytes 5-9/10`. RFC 9110, section 14.4.
    static func contentRange(_ text: String) -> (first: Int64, total: Int64)? {
        guard text.hasPrefix("bytes ") else { return nil }
        let parts = text.dropFirst(6).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let total = Int64(parts[1]), let first = Int64(parts[0].prefix { $0 != "-" }),
            first >= 0, total >= 0
        else { return nil }
        return (first, total)
    }

    /// The line for a received piece.
    static func line(_ piece: Piece) -> String {
        var text = PullBoard.label(piece.kind, piece.digest) + " " + Human.bytes(piece.size).paddedLeft(9) + "  "
        guard !piece.shares.isEmpty else { return text + "there already" }
        var sources: [String] = []
        for share in piece.shares {
            let name = share.source ?? "this node"
            if !sources.contains(name) { sources.append(name) }
        }
        text += "from \(sources.joined(separator: " and "))  in \(Human.time(piece.time))"
        if piece.resumptions > 0 { text += ", continued \(piece.resumptions)×" }
        return text
    }
}
