import Synchronization

/// The protocols that a host accepts, and what is done with their streams.
final class ProtocolHandlers: Sendable {
    typealias Handler = @Sendable (MuxedStream) async -> Void

    private let handlers = Mutex<[String: Handler]>([:])

    /// The names of all protocols.
    var names: Set<String> { handlers.withLock { Set($0.keys) } }

    subscript(protocolID: String) -> Handler? {
        handlers.withLock { $0[protocolID] }
    }

    /// Sets a protocol's handler; returns whether the protocol is new.
    func set(_ handler: @escaping Handler, for protocolID: String) -> Bool {
        handlers.withLock { $0.updateValue(handler, forKey: protocolID) == nil }
    }
}
