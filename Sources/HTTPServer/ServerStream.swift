import NIOCore

/// The body of a response that the handler sends piece by piece.
public struct ServerStream: Sendable {
    let connection: NIOLoopBound<ServerConnection>
    let eventLoop: any EventLoop

    /// Sends a piece and returns when it has left, so that at most one waits for a slow client.
    ///
    /// - Throws: When the client is gone or has read nothing for too long.
    public func send(_ text: String) async throws {
        try Task.checkCancellation()
        try await eventLoop.flatSubmit { connection.value.sendPiece(text, on: eventLoop) }.get()
    }
}
