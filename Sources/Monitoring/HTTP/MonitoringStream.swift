import NIOCore

/// The body of an answer that is sent piece by piece.
public struct MonitoringStream: Sendable {
    let connection: NIOLoopBound<MonitoringConnection>
    let eventLoop: any EventLoop

    /// Sends a piece and returns when it has left, so that no more than one waits for a slow client.
    ///
    /// - Throws: when the client has gone or has taken nothing for too long.
    public func send(_ text: String) async throws {
        try Task.checkCancellation()
        try await eventLoop.flatSubmit { connection.value.sendPiece(text, on: eventLoop) }.get()
    }
}
