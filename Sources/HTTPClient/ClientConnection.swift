import NIOCore
import NIOHTTP1

/// A connection of a client, for use from tasks.
struct ClientConnection: Sendable {
    let channel: any Channel
    private let handler: NIOLoopBound<ExchangeHandler>
    let peer: String

    /// Makes the view of a connection on its event loop.
    init(channel: any Channel, handler: ExchangeHandler) {
        self.channel = channel
        self.handler = NIOLoopBound(handler, eventLoop: channel.eventLoop)
        peer = handler.peer
    }

    /// Returns when the TLS handshake is complete.
    func secured(_ deadline: Deadline) async throws {
        try await wait { $0.secured(deadline) }
    }

    /// Sends a request and returns the head of the response.
    func send(
        _ head: HTTPRequestHead,
        _ body: [UInt8]?,
        _ deadlines: HTTPClient.Deadlines,
        within whole: Deadline?
    ) async throws -> HTTPResponseHead {
        let deadline = Deadline(deadlines.head, .timedOut(peer, after: deadlines.head)).within(whole)
        return try await wait { $0.send(head, body, deadline) }
    }

    /// Returns the next bytes of the body, or none at its end.
    func next(_ deadlines: HTTPClient.Deadlines, within whole: Deadline?) async throws -> [ByteBuffer] {
        let deadline = Deadline(deadlines.progress, .stalled(peer, after: deadlines.progress)).within(whole)
        return try await wait { $0.next(deadline) }
    }

    /// Whether the response is complete and the connection can carry another exchange.
    func isReusable() async -> Bool {
        (try? await wait { $0.eventLoop.makeSucceededFuture($0.isReusable) }) ?? false
    }

    func close() {
        channel.close(promise: nil)
    }

    /// Runs an operation on the event loop; a cancelled task ends the exchange and closes the connection.
    private func wait<Value: Sendable>(
        _ operation: @escaping @Sendable (ExchangeHandler) -> EventLoopFuture<Value>
    ) async throws -> Value {
        try await withTaskCancellationHandler {
            try await channel.eventLoop.flatSubmit { operation(handler.value) }.get()
        } onCancel: {
            channel.eventLoop.execute { handler.value.cancel() }
        }
    }
}
