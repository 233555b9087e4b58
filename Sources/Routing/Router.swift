import NIOCore

/// Finds the nodes that hold a key, and tells the others which keys this node holds.
///
/// A key is a digest (`sha256:…`) or a full tag name (`docker.io/library/alpine:3`).
public protocol Router: Sendable {
    /// The nodes that hold a key, in the order in which they are found, this node never among them.
    ///
    /// The stream ends when as many as `limit` were found or nobody is left to ask. The caller decides how long it
    /// waits; when it stops to listen, the lookup ends.
    func providers(of key: String, limit: Int) -> AsyncStream<Provider>

    /// The same; where many others are looked for, the lookup may have to wait before it begins.
    ///
    /// - Parameter began: called once, from any thread, when it begins. It never does where too many others wait already.
    func providers(of key: String, limit: Int, began: @escaping @Sendable () -> Void) -> AsyncStream<Provider>

    /// The nodes that hold a key, where that is known without asking anybody: then nothing that other work holds up
    /// stands between a request and its answer.
    ///
    /// - Returns: the nodes that ``providers(of:limit:)`` would find, possibly none; `nil` when it has to look for them.
    func knownProviders(of key: String, limit: Int) -> [Provider]?

    /// Tells the others that this node holds the keys, now and again until they are withdrawn.
    func advertise(_ keys: [String]) async

    /// Stops to advertise the keys.
    func withdraw(_ keys: [String]) async

    /// Says that a node answered that it does not hold a key: it is not offered for it any more until it says anew that
    /// it does, or some time has passed.
    func reportMissing(_ provider: Provider, of key: String)

    /// Says that what a node sent for a key is not what the key says: it is not offered for it any more for a while,
    /// whatever it says of itself.
    func reportCorrupt(_ provider: Provider, of key: String)

    /// Says that a node could not be reached: it is offered last until it is heard of again.
    func reportUnreachable(_ provider: Provider)

    /// Whether lookups can be answered, and if not, why.
    var readiness: Readiness { get }
}

extension Router {
    /// Begins at once: for a router that looks for any number of keys at a time.
    public func providers(
        of key: String,
        limit: Int,
        began: @escaping @Sendable () -> Void
    ) -> AsyncStream<Provider> {
        began()
        return providers(of: key, limit: limit)
    }

    /// Nothing is known at once.
    public func knownProviders(of key: String, limit: Int) -> [Provider]? { nil }

    /// Does nothing: for a router that learns of its providers otherwise.
    public func reportMissing(_ provider: Provider, of key: String) {}

    /// Does nothing: for a router that learns of its providers otherwise.
    public func reportCorrupt(_ provider: Provider, of key: String) {}

    /// Does nothing: for a router that learns of its providers otherwise.
    public func reportUnreachable(_ provider: Provider) {}
}

/// Whether a part of the node can do its work.
public enum Readiness: Hashable, Sendable {
    /// It can; the text says in what state it is.
    case ready(String)
    /// It cannot, for this reason.
    case notReady(String)
}

/// A node that holds a key, and where its registry is reached.
public struct Provider: Hashable, Sendable {
    /// The peer id of the node, in text.
    public var peerID: String
    /// The addresses of its registry, the best first; never empty.
    public var addresses: [SocketAddress]

    /// Makes a provider.
    public init(peerID: String, addresses: [SocketAddress]) {
        self.peerID = peerID
        self.addresses = addresses
    }
}
