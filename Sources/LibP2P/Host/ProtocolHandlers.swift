import Synchronization

/// The protocols that a host accepts, with their handlers.
final class ProtocolHandlers: Sendable {
    typealias Handler = @Sendable (MuxedStream) async -> Void

    private let handlers = Mutex<[String: Handler]>([:])

    /// The names of all protocols.
    var names: Set<String> { handlers.withLock { Set($0.keys) } }

    subscript(protocolID: String) -> Handler? {
        handlers.withLock { $0[protocolID] }
    }

    /// Sets the handler of a protocol. Returns whether the protocol is new.
    func set(_ handler: @escaping Handler, for protocolID: String) -> Bool {
        handlers.withLock { $0.updateValue(handler, forKey: protocolID) == nil }
    }

    /// Removes all handlers with their references.
    func removeAll() {
        let removed = handlers.withLock { handlers in
            defer { handlers = [:] }
            return handlers
        }
        // The references end here, outside the lock.
        _ = removed
    }
}
