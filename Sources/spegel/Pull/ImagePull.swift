import ContentStore
import Files
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
        var (root, json) = try await document(reference.digest.map { .digest($0) }, size: nil, pieces: &pieces)
        var document = try read(json, root)
        let rootType = document.manifest.mediaType
        let rootSize = Int64(json.count)
        if document.manifest.isIndex {
            let choice: Descriptor
            do {
                choice = try document.manifest(for: platform)
            } catch {
                throw Failure(what: "\(reference)", reason: error)
            }
            let digest: Digest
            (digest, json) = try await self.document(.digest(choice.digest), size: choice.size, pieces: &pieces)
            document = try read(json, digest)
        }
        guard !document.manifest.isIndex else {
            throw Failure(what: "\(reference)", reason: Unsupported("an index of indexes"))
        }
        pieces += try await blobs(document.manifest.children)
        if let writer {
            let target = Descriptor(mediaType: rootType, digest: root, size: rootSize)
            try writer.setImage(reference, to: target)
            root = target.digest
        }
        display.finish()
        return Outcome(digest: root, pieces: pieces, time: ContinuousClock.now - start)
    }

    private struct Unsupported: Error, CustomStringConvertible {
        let description: String

        init(_ what: String) { description = "\(what) is not supported" }
    }

    private func read(_ json: [UInt8], _ digest: Digest) throws -> PulledDocument {
        do {
            return try PulledDocument(json: json)
        } catch {
            throw Failure(what: "manifest \(digest)", reason: error)
        }
    }

    private var request: RegistryRequest {
        var request = RegistryRequest(url: url)
        if let authorization { request.fields.append(("Authorization", authorization)) }
        request.fields.append(("Accept", Self.accept))
        return request
    }

    private static let accept =
        [MediaType.ociIndex, .ociManifest, .dockerManifestList, .dockerManifest].map(\.text).joined(separator: ", ")
        + ", */*"

    /// Checks that a registry listens at the address: another server would answer 404 to all requests.
    private func checkRegistry() async throws {
        var status = 0
        var isSpegel = false
        do {
            try await request.get(
                "/v2/",
                head: { head in
                    status = Int(head.status.code)
                    isSpegel = status == 200 || status == 401
                    return false
                },
                body: { _ in }
            )
        } catch let error as RegistryRequest.Failure {
            guard case .cutShort = error else { throw error }
        }
        if status == 401, authorization == nil {
            throw Failure(what: "\(url)", reason: BlobDownload.Failure.unauthorised)
        }
        guard isSpegel else { throw NoRegistry(url: url, status: status) }
    }

    /// The server at the address is no registry.
    struct NoRegistry: Error, CustomStringConvertible {
        var url: HTTPURL
        var status: Int

        var description: String {
            let answer = status == 0 ? "not HTTP" : "/v2/ answers with status \(status)"
            return
                "expected a registry at \(url), found another server (\(answer)): set --address to the node's --registry-addr, usually port \(ListenAddress.registry.port)"
        }
    }

    // MARK: Documents

    /// Gets a manifest or an index, by tag if no digest is given.
    private func document(
        _ target: DistributionRequest.Target?,
        size: Int64?,
        pieces: inout [Piece]
    ) async throws -> (Digest, [UInt8]) {
        guard let target = target ?? reference.tag.map({ .tag($0) }) else {
            throw Failure(what: "\(reference)", reason: Reference.ParseError.missingTagOrDigest)
        }
        let wanted: Digest? = if case .digest(let digest) = target { digest } else { nil }
        let what = wanted.map { "manifest \($0)" } ?? "tag \(reference)"
        let start = ContinuousClock.now
        var tries = 0
        while true {
            var json: [UInt8] = []
            var answer = BlobDownload.Head(status: 0)
            var told: Digest?
            var problem: String?
            do {
                try await request.get(
                    path(.manifest, target),
                    head: { head in
                        answer = Self.head(head)
                        told = head.headers.first(name: "Docker-Content-Digest").flatMap { try? Digest($0) }
                        return answer.status == 200
                    },
                    body: { bytes in
                        guard json.count + bytes.readableBytes <= Manifest.maximumSize else {
                            throw Failure(
                                what: what,
                                reason: Manifest.ParseError.tooLarge(json.count + bytes.readableBytes)
                            )
                        }
                        json += bytes.readableBytesView
                    }
                )
            } catch RegistryRequest.Failure.cutShort(let reason) {
                problem = reason
            }
            if problem == nil, answer.status == 200 {
                let expected = wanted ?? told
                var hasher = DigestHasher(expected?.algorithm ?? .sha256)
                json.withUnsafeBytes { hasher.update($0) }
                let digest = hasher.finish()
                if let expected, expected != digest {
                    throw Failure(what: what, reason: WrongBytes(found: digest, source: answer.source))
                }
                let kind = (try? Manifest(json: json))?.isIndex == true ? "index" : "manifest"
                let piece = Piece(
                    kind: kind,
                    digest: digest,
                    size: Int64(json.count),
                    shares: [.init(source: answer.source, bytes: Int64(json.count))],
                    resumptions: 0,
                    time: ContinuousClock.now - start
                )
                if let writer { try writer.addBlob(json, expected: digest) }
                display.announce(piece.size)
                display.end(digest, size: piece.size, line: Self.line(piece))
                pieces.append(piece)
                return (digest, json)
            }
            var download = BlobDownload(size: size ?? 1)
            if problem == nil, case .fail(let failure) = download.receive(answer) {
                throw Failure(what: what, reason: failure)
            }
            tries += 1
            guard tries < BlobDownload.maximumTries else {
                let reason = problem ?? "status \(answer.status)"
                throw Failure(what: what, reason: BlobDownload.Failure.givenUp(tries: tries, reason: reason))
            }
            try await Task.sleep(for: .milliseconds(100 << tries))
        }
    }

    // MARK: Blobs

    private func blobs(_ children: [Descriptor]) async throws -> [Piece] {
        // An image may name one layer several times.
        var seen: Set<Digest> = []
        let wanted = children.enumerated().filter { seen.insert($0.element.digest).inserted }
        for (_, descriptor) in wanted { display.announce(descriptor.size) }
        var pieces: [Int: Piece] = [:]
        var next = wanted.makeIterator()
        try await withThrowingTaskGroup(of: Numbered.self) { group in
            func addOne() {
                guard let (number, descriptor) = next.next() else { return }
                group.addTask {
                    Numbered(number: number, piece: try await blob(descriptor, kind: number == 0 ? "config" : "layer"))
                }
            }
            for _ in 0..<Self.concurrency { addOne() }
            while let done = try await group.next() {
                pieces[done.number] = done.piece
                addOne()
            }
        }
        return pieces.sorted { $0.key < $1.key }.map(\.value)
    }

    private struct Numbered {
        var number: Int
        var piece: Piece
    }

    private func blob(_ descriptor: Descriptor, kind: String) async throws -> Piece {
        let (digest, size) = (descriptor.digest, descriptor.size)
        let what = "\(kind) \(digest)"
        let start = ContinuousClock.now
        if let writer, try Files.status(writer.layout.blobFile(digest))?.size == size {
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

    private func path(_ kind: DistributionRequest.Kind, _ target: DistributionRequest.Target) -> String {
        DistributionRequest(kind: kind, repository: reference.repository, target: target, registry: reference.registry)
            .path
    }

    /// A digest mismatch.
    struct WrongBytes: Error, CustomStringConvertible {
        var found: Digest
        var source: String?

        var description: String { "digest mismatch: \(source ?? "the node") sent bytes with digest \(found)" }
    }

    private static func head(_ head: HTTPResponseHead) -> BlobDownload.Head {
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
