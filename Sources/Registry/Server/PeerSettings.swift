import Mirroring
import Multiformats

/// How peers are found and asked.
public struct PeerSettings: Sendable {
    /// How long the first provider of a key may take to be found. Later ones are not bound by it.
    public var resolveTimeout = Self.defaults.lookup.resolveTimeout
    /// How long a lookup may go on to find more providers after the first.
    public var lookupTimeout = Self.defaults.lookup.timeout
    /// How many providers may answer a request without having the content. Those that give no answer do not count.
    public var resolveRetries = Self.defaults.retries.providers
    /// How many providers are looked for and kept, of which those are tried first that are likely to answer soonest.
    public var resolveCandidates = Self.defaults.retries.candidates
    /// Whether they are tried in that order, and not in that in which they are found.
    public var choosesProviders = true
    /// Whether an address is on the same network as this node. Asked for each provider whose zone says nothing.
    public var isNear: @Sendable (IPAddress) -> Bool = { _ in false }

    /// How long a connection to a peer may take.
    public var connectTimeout = Self.defaults.connectTimeout
    /// How long a peer may take to answer with a response head.
    public var headTimeout = Self.defaults.headTimeout
    /// How long a peer may send nothing in the middle of a body, while the client takes what comes.
    public var progressTimeout = Self.defaults.progressTimeout
    /// How long busy peers are asked again for one request, and how long a turn to fetch is waited for.
    public var busyTimeout = Self.defaults.retries.busyTimeout
    /// The smallest rest of a peer's body that the kernel moves, where nothing of it has to be seen.
    public var splicedSize = Self.defaults.splicedSize

    /// How long an idle connection to a peer is kept for the next request.
    public var idleTimeout: Duration = .seconds(15)
    /// The most idle connections that an event loop keeps to one address.
    public var maximumIdlePerAddress = 32
    /// The most idle connections that an event loop keeps in all.
    public var maximumIdle = 128

    /// What a transfer does by default.
    private static let defaults = TransferLimits()
}
