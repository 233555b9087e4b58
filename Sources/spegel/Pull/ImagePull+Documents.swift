import ContentStore
import HTTPClient
import NIOCore
import NIOHTTP1
import OCI

/// Manifests and indexes.
extension ImagePull {
    func read(_ json: [UInt8], _ digest: Digest) throws -> PulledDocument {
        do {
            return try PulledDocument(json: json)
        } catch {
            throw Failure(what: "manifest \(digest)", reason: error)
        }
    }

    /// Gets a manifest or an index, by tag if no digest is given.
    func document(
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

    /// Checks that a registry listens at the address: another server would answer 404 to all requests.
    func checkRegistry() async throws {
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
}
