import Mirroring
import NIOCore

/// The record of a request that other nodes answered, or could not.
struct MirrorRecord: Sendable {
    /// An attempt at a peer that has failed.
    struct Failure: Sendable {
        var peerID: String
        /// The address of the peer's registry.
        var address: String
        /// The failure without its details, one of few, as `spegel_mirror_failed_attempts_total` has it.
        var reason: String
        /// The failure in words.
        var text: String
    }

    /// The peer that was asked last.
    struct Peer: Sendable {
        var peerID: String
        /// The address of its registry.
        var address: PeerAddress
    }

    var request: ContentRequest
    var ending: TransferEnding
    /// Whether peers had the content; `nil` where the client left before that was known.
    var isHit: Bool?
    /// Bytes of the body that were sent to the client.
    var sentBytes: Int64
    /// Whether the request followed another client's for the same content, so that no peer sent it again.
    var isShared: Bool
    /// How long it took, in nanoseconds.
    var duration: Int64
    var peer: Peer?
    var failures: [Failure]
    /// Hedged attempts.
    var hedges: Int
    /// What is counted for the registry that the content is of.
    var series: RegistrySeries
}
