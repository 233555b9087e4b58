import NIOCore

/// The body of a response, piece by piece as it arrives.
///
/// The client reads ahead by at most one read of the socket beyond 64 KiB.
public struct HTTPBody: AsyncSequence, Sendable {
    let connection: ClientConnection
    let deadlines: HTTPClient.Deadlines
    let whole: Deadline?

    /// The pieces that are left.
    public struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let body: HTTPBody
        private var pieces: ArraySlice<ByteBuffer> = []

        fileprivate init(_ body: HTTPBody) {
            self.body = body
        }

        /// The next piece, or `nil` at the end.
        ///
        /// - Throws: ``HTTPClientError`` when the response ends early or stalls, or `CancellationError`.
        public mutating func next() async throws -> ByteBuffer? {
            if pieces.isEmpty { pieces = try await body.connection.next(body.deadlines, within: body.whole)[...] }
            return pieces.popFirst()
        }
    }

    /// An iterator over the pieces that are left.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(self) }

    /// Reads all of the body.
    ///
    /// - Throws: ``HTTPClientError/tooLong(_:limit:)`` when there are more bytes.
    public func collect(upTo limit: Int) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        for try await piece in self {
            guard bytes.count + piece.readableBytes <= limit else {
                throw HTTPClientError.tooLong(connection.peer, limit: limit)
            }
            bytes.append(contentsOf: piece.readableBytesView)
        }
        return bytes
    }
}
