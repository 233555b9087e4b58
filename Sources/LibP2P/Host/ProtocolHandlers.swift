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

    /// Takes all handlers back, and with them whatever they hold on to.
    func removeAll() {
        let removed = handlers.withLock { handlers in
            defer { handlers = [:] }
            return handlers
        }
        // What the handlers held ends here, outside of the lock.
        _ = removed
    }
}
