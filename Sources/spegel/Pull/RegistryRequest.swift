import HTTPClient
import NIOCore
import NIOHTTP1
import NIOPosix

/// A GET of a node's registry that passes on the body as it arrives, over a connection of its own.
struct RegistryRequest {
    var url: HTTPURL
    var fields: [(name: String, value: String)] = []
    var deadlines = HTTPClient.Deadlines(connect: .seconds(5), head: .seconds(15), progress: .seconds(15))

    /// Why there is no complete response.
    enum Failure: Error, CustomStringConvertible {
        case unreachable(HTTPURL, reason: String)
        case cutShort(reason: String)

        var description: String {
            switch self {
            case .unreachable(let url, let reason):
                "no registry answers at \(url) (\(reason)): see whether the node runs ('curl \(url)/readyz'), or name "
                    + "another place with --address"
            case .cutShort(let reason): reason
            }
        }
    }

    /// Sends the request.
    ///
    /// - Parameters:
    ///   - path: The path with its query.
    ///   - onHead: Takes the head of the response; `false` drops the body.
    ///   - onBody: Takes the body piece by piece.
    /// - Throws: ``Failure``, or what the functions throw.
    func get(
        _ path: String,
        range: String? = nil,
        head onHead: (HTTPResponseHead) throws -> Bool,
        body onBody: (ByteBuffer) throws -> Void
    ) async throws {
        let client = HTTPClient(url: url, group: MultiThreadedEventLoopGroup.singleton, keepsConnection: false)
        var request = HTTPRequest(path: path, fields: fields)
        if let range { request.fields.append(("Range", range)) }
        do {
            try await client.withResponse(to: request, deadlines: deadlines) { head, body in
                guard try onHead(head) else { return }
                for try await piece in body { try onBody(piece) }
            }
        } catch HTTPClientError.unreachable(_, let reason) {
            throw Failure.unreachable(url, reason: reason)
        } catch let error as HTTPClientError {
            throw Failure.cutShort(reason: "\(error)")
        }
    }
}
