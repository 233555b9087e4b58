import Mirroring

/// What this node does for one attempt at a peer: its permit and its connection.
struct PeerExchange {
    let request: PeerRequest
    var permit: DownloadPermits.Permit?
    /// Whether the peer book counts the request as in flight.
    var isInFlight = false
    var connection: PeerConnection?
    /// What its request has proven, if it had to.
    var proof: NodeProofs.Proven?
}
