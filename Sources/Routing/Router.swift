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

    /// What is known of the holders of a key without asking anybody; answered at once, by the caller's own thread.
    func knownProviders(of key: String, limit: Int) -> KnownProviders

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
    /// Nothing: for a router that has to ask.
    public func knownProviders(of key: String, limit: Int) -> KnownProviders { KnownProviders() }

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

/// The holders of a key that are known without asking anybody.
public struct KnownProviders: Hashable, Sendable {
    /// The nodes, in the order in which they are best asked, this node never among them.
    public var providers: [Provider]
    /// Whether there is no need to look for more.
    public var suffice: Bool

    /// Makes such a list; by default nothing is known.
    public init(_ providers: [Provider] = [], suffice: Bool = false) {
        self.providers = providers
        self.suffice = suffice
    }
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
