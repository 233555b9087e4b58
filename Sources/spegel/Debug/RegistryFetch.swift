import ContentStore
import NIOCore
import NIOHTTP1
import NIOPosix
import OCI
import Registry

/// A request to this node's own registry over loopback, as a client of the node makes it.
struct RegistryFetch: Sendable {
    /// An answer that came whole.
    struct Answer: Sendable {
        var status: Int
        /// The registry of the node that the content came from; `nil` when it is held here.
        var source: String?
        /// The digest of the bytes that came.
        var digest: OCI.Digest
        var size: Int64
        /// The bytes, where they were to be kept.
        var body: [UInt8]
        /// When the first byte of the body came.
        var firstByte: ContinuousClock.Instant?
    }

    /// Why there is no answer.
    struct Failed: Error, CustomStringConvertible {
        let description: String
    }

    /// How long nothing may come.
    private static let idleTimeout = TimeAmount.seconds(10)

    /// `nil` while the registry does not listen.
    let address: SocketAddress?
    /// The field `Authorization`, where the registry demands credentials.
    let authorization: String?
    let group: any EventLoopGroup

    /// Fetches content and computes its digest.
    ///
    /// - Parameters:
    ///   - limit: the most bytes that are taken.
    ///   - keep: whether they are kept; else they are thrown away as they come.
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
        guard let address else { throw Failed(description: "the registry of this node does not listen") }
        let client = try await ClientBootstrap(group: group)
            .connectTimeout(.seconds(2))
            .connect(to: address) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHTTPClientHandlers(leftOverBytesStrategy: .dropBytes)
                    try channel.pipeline.syncOperations.addHandler(IdleStateHandler(readTimeout: Self.idleTimeout))
                    try channel.pipeline.syncOperations.addHandler(ClosesWhenIdle())
                    return try NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>(
                        wrappingChannelSynchronously: channel
                    )
                }
            }
        return try await client.executeThenClose { inbound, outbound in
            var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: request.path)
            head.headers = [
                "Host": address.authority, "User-Agent": "spegel-debug", "Accept": "*/*", "Connection": "close",
            ]
            if let authorization { head.headers.add(name: "Authorization", value: authorization) }
            // Together: the answer may be there, and the connection closed, before the end would be written.
            try await outbound.write(contentsOf: [.head(head), .end(nil)])
            var hasher = DigestHasher(algorithm)
            var answer: Answer?
            var body: [UInt8] = []
            var size: Int64 = 0
            var status = 0
            var source: String?
            var expected: Int64?
            var firstByte: ContinuousClock.Instant?
            for try await part in inbound {
                switch part {
                case .head(let head):
                    status = Int(head.status.code)
                    source = head.headers.first(name: "X-Spegel-Source")
                    expected = head.headers.first(name: "Content-Length").flatMap { Int64($0) }
                case .body(let bytes):
                    if firstByte == nil { firstByte = .now }
                    size += Int64(bytes.readableBytes)
                    guard size <= limit else { throw Failed(description: "more than \(limit) bytes") }
                    bytes.withUnsafeReadableBytes { hasher.update($0) }
                    if keep { body.append(contentsOf: bytes.readableBytesView) }
                case .end:
                    answer = Answer(
                        status: status,
                        source: source,
                        digest: hasher.finish(),
                        size: size,
                        body: body,
                        firstByte: firstByte
                    )
                }
                if answer != nil { break }
            }
            guard let answer else {
                throw Failed(description: "cut short after \(size) of \(expected.map { "\($0)" } ?? "unknown") bytes")
            }
            return answer
        }
    }
}

/// Ends a connection on which nothing comes any more.
private final class ClosesWhenIdle: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }
}

extension SocketAddress {
    /// `192.0.2.1:5000`, `[2001:db8::1]:5000`
    var authority: String {
        let ip = ipAddress ?? ""
        return (ip.contains(":") ? "[\(ip)]" : ip) + ":\(port ?? 0)"
    }
}
