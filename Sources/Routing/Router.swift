import NIOCore

/// Finds the providers of a key, and advertises this node's keys.
///
/// A key is a digest (`sha256:…`) or a full tag name (`docker.io/library/alpine:3`).
public protocol Router: Sendable {
    /// Looks for the providers of a key. The lookup may be queued behind others.
    ///
    /// It ends after `limit` providers, or when no more can be found. The caller decides how long it waits.
    ///
    /// - Parameter onEvent: called from any thread, one at a time, from within this method on; it must return at once.
    /// - Returns: cancels the lookup, which then ends soon.
    func lookUp(
        _ key: String,
        limit: Int,
        onEvent: @escaping @Sendable (LookupEvent) -> Void
    ) -> @Sendable () -> Void

    /// The providers of a key from local knowledge, so that no other work delays the answer.
    ///
    /// - Returns: what a lookup would find, possibly none; `nil` when it needs a lookup.
    func knownProviders(of key: String, limit: Int) -> [Provider]?

    /// Advertises the keys until they are withdrawn.
    func advertise(_ keys: [String]) async

    /// Stops advertising the keys.
    func withdraw(_ keys: [String]) async

    /// Reports that a node does not have the key. It is not offered for the key until it advertises the key again, or
    /// for a while.
    func reportMissing(_ provider: Provider, of key: String)

    /// Reports that a node sent corrupt content for the key. It is not offered for the key for a while, even if it
    /// advertises the key again.
    func reportCorrupt(_ provider: Provider, of key: String)

    /// Reports that a node is unreachable. It is offered last until it is seen again.
    func reportUnreachable(_ provider: Provider)

    /// Whether lookups work, and if not, why.
    var readiness: Readiness { get }
}

extension Router {
    /// The providers of a key as a stream. Cancelling its consumer ends the lookup.
    public func providers(of key: String, limit: Int) -> AsyncStream<Provider> {
        // The limit of providers bounds the buffer.
        AsyncStream { continuation in
            let cancel = lookUp(key, limit: limit) { event in
                switch event {
                case .started: break
                case .found(let provider): continuation.yield(provider)
                case .ended: continuation.finish()
                }
            }
            continuation.onTermination = { if case .cancelled = $0 { cancel() } }
        }
    }

    /// No local knowledge.
    public func knownProviders(of key: String, limit: Int) -> [Provider]? { nil }

    /// Does nothing, for a router that gets its providers elsewhere.
    public func reportMissing(_ provider: Provider, of key: String) {}

    /// Does nothing, for a router that gets its providers elsewhere.
    public func reportCorrupt(_ provider: Provider, of key: String) {}

    /// Does nothing, for a router that gets its providers elsewhere.
    public func reportUnreachable(_ provider: Provider) {}
}

/// What happens in a lookup, in this order.
public enum LookupEvent: Hashable, Sendable {
    /// The lookup has its place among others; it never comes when the queue is full.
    case started
    /// A provider, never this node.
    case found(Provider)
    /// The end, also of a lookup that was cancelled.
    case ended
}

/// The readiness of a part of the node.
public enum Readiness: Hashable, Sendable {
    /// Ready, with its state.
    case ready(String)
    /// Not ready, with the reason.
    case notReady(String)
}

/// A node that provides a key, with the addresses of its registry.
public struct Provider: Hashable, Sendable {
    /// The peer id of the node as text.
    public var peerID: String
    /// The addresses of its registry, the best first; never empty.
    public var addresses: [SocketAddress]

    /// Creates a provider.
    public init(peerID: String, addresses: [SocketAddress]) {
        self.peerID = peerID
        self.addresses = addresses
    }
}
