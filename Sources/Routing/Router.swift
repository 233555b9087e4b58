import NIOCore

/// Finds the providers of a key, and advertises this node's keys.
///
/// A key is a digest (`sha256:…`) or a full tag name (`docker.io/library/alpine:3`).
public protocol Router: Sendable {
    /// The providers of a key, in the order in which they are found, never this node.
    ///
    /// The stream ends after `limit` providers, or when the lookup has ended. The caller decides how long it waits.
    /// Cancelling the consumer ends the lookup.
    func providers(of key: String, limit: Int) -> AsyncStream<Provider>

    /// The providers of a key. The lookup may be queued behind others.
    ///
    /// - Parameter began: called once, from any thread, when the lookup starts; never when the queue is full.
    func providers(of key: String, limit: Int, began: @escaping @Sendable () -> Void) -> AsyncStream<Provider>

    /// The providers of a key from local knowledge, so that no other work delays the answer.
    ///
    /// - Returns: the result of ``providers(of:limit:)``, possibly empty; `nil` when it needs a lookup.
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
    /// Begins at once, for a router without a limit of lookups.
    public func providers(
        of key: String,
        limit: Int,
        began: @escaping @Sendable () -> Void
    ) -> AsyncStream<Provider> {
        began()
        return providers(of: key, limit: limit)
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
