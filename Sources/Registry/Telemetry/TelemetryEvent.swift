import Mirroring
import NIOCore
import OCI

/// An event of a registry, which ``Telemetry`` puts into a log line, a metric or the journal.
enum TelemetryEvent {
    // MARK: The server

    case listening(SocketAddress, congestionControl: String?)
    /// The time of grace is over, and connections are still in use.
    case graceEnded(connections: Int)
    case acceptFailed
    /// Connections of clients were opened or closed.
    case connectionsChanged(by: Int)

    // MARK: Clients

    case clientRejected(ClientRejection, SocketAddress?)
    /// A client takes nothing of its answer for too long.
    ///
    /// - Parameters:
    ///   - key: of the content that it has asked for, if it is content.
    ///   - bufferedBytes: what it has yet to take of what was written.
    case clientStalled(SocketAddress?, key: String?, bufferedBytes: Int64)
    case requestBegan(RequestHandler)
    case requestEnded(RequestRecord)

    // MARK: The content store

    case openFailed(Digest, any Error)
    case readFailed(key: String, any Error)
    case storeTimedOut(key: String)
    /// A file became shorter while it was sent.
    case fileTruncated(key: String, path: String)

    // MARK: Peers

    case mirrorBegan
    /// A peer wants the password itself.
    case peerWantsPassword(PeerAddress?)
    /// The answer to a mirrored request ends; the client hears of it next.
    case mirrorEnded(MirrorRecord)
    /// The client has heard of the end.
    case mirrorReported(MirrorRecord)
    /// The search for the first provider of a key has ended.
    case lookupEnded(LookupOutcome, nanoseconds: Int64)
    /// A client asks again for content that it got from these peers, each with its address.
    case repeatedRequest(key: String, peers: [String])
    /// A peer has sent wrong bytes.
    ///
    /// - Parameter isCertain: `false` where it may have been another peer.
    case digestMismatch(Digest, key: String, peerID: String, address: PeerAddress?, isCertain: Bool)
    /// Content that no node had came from its source registry.
    case sourceReceived(bytes: Int64, registry: String)
}
