import ContentStore
import HTTPClient
import NIOCore
import NIOHTTP1
import OCI
import Time

/// A request to this node's own registry over loopback, such as a client of the node makes.
struct RegistryFetch: Sendable {
    /// A complete response.
    struct Answer: Sendable {
        var status: Int
        /// The registry of the node that sent the content; `nil` if this node holds it.
        var source: String?
        /// The digest of the body.
        var digest: OCI.Digest
        var size: Int64
        /// The body, if the caller keeps it.
        var body: [UInt8]
        /// The time of the first byte of the body.
        var firstByte: MonotonicTime?
    }

    /// Why there is no complete response.
    struct Failed: Error, CustomStringConvertible {
        let description: String
    }

    private static let deadlines = HTTPClient.Deadlines(
        connect: .seconds(2),
        head: .seconds(10),
        progress: .seconds(10)
    )

    /// `nil` while the registry does not listen.
    let address: SocketAddress?
    /// The field `Authorization`, if the registry demands credentials.
    let authorization: String?
    let group: any EventLoopGroup

    /// Fetches content and computes its digest.
    ///
    /// - Parameters:
    ///   - limit: The most bytes of the body.
    ///   - keep: Whether the answer has the body; else the node drops it as it arrives.
    /// - Throws: ``Failed`` or `CancellationError`.
    func get(
        _ request: DistributionRequest,
        algorithm: OCI.Digest.Algorithm = .sha256,
        limit: Int64,
        keep: Bool
    ) async throws -> Answer {
        do {
            return try await exchange(request, algorithm, limit, keep)
        } catch let error as Failed {
            throw error
        } catch {
            try Task.checkCancellation()
            throw Failed(description: "the registry of this node does not answer: \(error)")
        }
    }

    private func exchange(
        _ request: DistributionRequest,
        _ algorithm: OCI.Digest.Algorithm,
        _ limit: Int64,
        _ keep: Bool
    ) async throws -> Answer {
        guard let ip = address?.ipAddress, let port = address?.port.flatMap({ UInt16(exactly: $0) }) else {
            throw Failed(description: "the registry of this node does not listen")
        }
        let client = HTTPClient(
            url: HTTPURL(isSecure: false, host: ip, port: port),
            group: group,
            keepsConnection: false
        )
        var fields = [(name: "User-Agent", value: "spegel-debug"), (name: "Accept", value: "*/*")]
        if let authorization { fields.append((name: "Authorization", value: authorization)) }
        return try await client.withResponse(
            to: HTTPRequest(path: request.path, fields: fields),
            deadlines: Self.deadlines
        ) { head, pieces in
            let expected = head.headers.first(name: "Content-Length").flatMap { Int64($0) }
            // A tag says nothing about the digest, but the registry does.
            let told = head.headers.first(name: "Docker-Content-Digest").flatMap { try? OCI.Digest($0) }
            var isTag = false
            if case .tag = request.target { isTag = true }
            var hasher = DigestHasher(isTag ? told?.algorithm ?? algorithm : algorithm)
            var body: [UInt8] = []
            var size: Int64 = 0
            var firstByte: MonotonicTime?
            do {
                for try await bytes in pieces {
                    if firstByte == nil { firstByte = .now }
                    size += Int64(bytes.readableBytes)
                    guard size <= limit else { throw Failed(description: "more than \(limit) bytes") }
                    bytes.withUnsafeReadableBytes { hasher.update($0) }
                    if keep { body.append(contentsOf: bytes.readableBytesView) }
                }
            } catch let error as HTTPClientError {
                let whole = expected.map { "\($0)" } ?? "unknown"
                throw Failed(description: "cut short after \(size) of \(whole) bytes: \(error)")
            }
            let digest = hasher.finish()
            if isTag, head.status == .ok, let told, told != digest { throw Failed(description: "digest mismatch") }
            return Answer(
                status: Int(head.status.code),
                source: head.headers.first(name: "X-Spegel-Source"),
                digest: digest,
                size: size,
                body: body,
                firstByte: firstByte
            )
        }
    }
}

extension SocketAddress {
    /// `192.0.2.1:5000`, `[2001:db8::1]:5000`
    var authority: String {
        let ip = ipAddress ?? ""
        return (ip.contains(":") ? "[\(ip)]" : ip) + ":\(port ?? 0)"
    }
}
