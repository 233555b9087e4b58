import Crypto
import HTTPClient
import NIOCore
import NIOHTTP1
import NIOPosix
import OCI
import Time

/// A request to a node, over a connection of its own.
enum HTTPFetch {
    struct Answer {
        var status: Int
        var headers: HTTPHeaders
        /// The digest and the size of the body.
        var digest: OCI.Digest?
        var size: Int64
        /// The body, if it is small.
        var body: [UInt8]?
        var time: Duration
    }

    private static let keptSize = 4 << 20
    private static let deadlines = HTTPClient.Deadlines(
        connect: .seconds(2),
        head: .seconds(10),
        progress: .seconds(10)
    )

    static func get(_ host: String, _ port: UInt16, _ target: String) async throws -> Answer {
        let start = MonotonicTime.now
        let client = HTTPClient(
            url: HTTPURL(isSecure: false, host: host, port: port),
            group: MultiThreadedEventLoopGroup.singleton,
            keepsConnection: false
        )
        return try await client.withResponse(to: HTTPRequest(path: target), deadlines: deadlines) { head, body in
            var answer = Answer(
                status: Int(head.status.code),
                headers: head.headers,
                size: 0,
                body: [],
                time: .zero
            )
            var hash = SHA256()
            for try await piece in body {
                piece.withUnsafeReadableBytes { hash.update(bufferPointer: $0) }
                answer.size += Int64(piece.readableBytes)
                answer.body?.append(contentsOf: piece.readableBytesView)
                if answer.size > keptSize { answer.body = nil }
            }
            answer.digest = OCI.Digest(algorithm: .sha256, bytes: hash.finalize())
            answer.time = MonotonicTime.now - start
            return answer
        }
    }
}
