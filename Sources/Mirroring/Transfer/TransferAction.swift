import OCI
import Time

/// A request to a peer.
package struct PeerRequest: Hashable, Sendable {
    package var attempt: AttemptID
    package var peerID: String
    package var address: PeerAddress
    package var part: RequestedPart
    /// Whether a pooled connection may serve.
    package var mayReuse: Bool
    /// Whether the peer is asked to verify the content before it sends it, and to say so.
    package var wantsCheck = false
}

/// What the caller of a ``Transfer`` has to do, in this order. Nothing follows `end`.
package enum TransferAction: Hashable, Sendable {
    /// Start a lookup for providers; also a second one, from scratch.
    case startLookup
    /// Stop the lookup; its end must still be reported.
    case cutLookup
    /// Stop the lookup; its end does not matter.
    case cancelLookup
    /// Connect to a peer and send it the request, once there is a permit for it.
    case ask(PeerRequest)
    /// Close the connection of an attempt.
    case cancel(AttemptID)
    /// Return the connection of an attempt to the pool: its response was read to the end.
    case release(AttemptID)
    /// Note the time to first byte of a peer.
    case firstByte(peerID: String, after: Duration)

    /// Send the response head to the client.
    case sendHead(PromisedContent)
    /// Compare the digest of what an attempt brought, and report the result at once.
    case verify(AttemptID, PromisedContent)
    /// Write all that is held to the client.
    case sendHeld
    /// Forget what is held.
    case discardHeld

    /// Read on from an attempt.
    case read(AttemptID)
    /// Flush what was written to the client, then report `flushed`.
    case flush(AttemptID)
    /// Ask the download rate for bytes, then report `granted` when they may go.
    case pace(Int)
    /// Write the last chunk that is held: more comes, whose end is held instead.
    case releaseLastChunk
    /// Flush, and report `drained` once all that was written has left.
    case drain(token: Int)
    /// Let the kernel move the rest of an attempt's body, then report `moveStarted` or
    /// `moveRefused`.
    case move(AttemptID, count: Int64)
    /// Stop the kernel; its count must still be reported.
    case stopMoving(AttemptID)
    /// Stop the kernel as soon as all that came has reached the client; its count must still be reported.
    case leave(AttemptID)
    /// Close the client's connection: it failed while the kernel moved bytes.
    case closeClient

    /// Do not ask a peer for this content for a while: it sent wrong bytes.
    case ban(peerID: String, Digest)
    /// Ask a peer for this content only if it verifies it first, for a while: it may have sent wrong bytes.
    case suspect(peerID: String, Digest)
    /// The transfer is over.
    case end(TransferEnding)
}

/// How a transfer ends.
package enum TransferEnding: Hashable, Sendable {
    /// The client has all of the body.
    case complete
    /// No peer has the rest. What is buffered leaves, then the client's connection closes cleanly.
    case cutShort
    /// No reachable peer has the content: 404.
    case notFound
    /// Peers may have it, but were busy or slow all the time: 503.
    case unavailable
    /// This node runs as many lookups as it may, and could not start one: 503.
    case overloaded
    /// 416; the size of the whole content is given.
    case rangeNotSatisfiable(size: Int64)
    /// The client has gone.
    case clientGone
}

/// What to do with the chunk of a peer's body that just came.
package struct ChunkDecision: Hashable, Sendable {
    package enum Use: Hashable, Sendable {
        /// Drop it: its attempt has ended, or the client has the bytes.
        case drop
        /// Write it, without its first `dropFirst` bytes; before that, send the head if there is one.
        case forward(head: PromisedContent?, dropFirst: Int)
        /// Hold it, without its first `dropFirst` bytes. If there is no room for content of that size, report
        /// `cannotHold` once, and write the chunk.
        case hold(PromisedContent, dropFirst: Int)
    }

    package var use: Use
    /// To be carried out before.
    package var actions: [TransferAction] = []

    static let drop = ChunkDecision(use: .drop)
}

/// How the kernel stopped moving a body.
package enum MoveEnd: Hashable, Sendable {
    case complete
    /// All came, and the digest does not match; the last bytes were not sent.
    case corrupt
    /// The peer closed the connection or failed, with the reason.
    case sourceFailed(String)
    /// The peer timed out.
    case stalled
    /// The bytes could not be hashed, or the caller stopped it.
    case stopped
    case clientFailed
}
