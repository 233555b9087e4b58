import OCI

/// Something that a ``PeerBook`` learns of one peer.
package enum PeerEvent: Hashable, Sendable {
    /// A request to it starts.
    case requestStarted
    /// A request to it has ended, in whatever way. It was started before.
    case requestEnded
    /// It has sent the first byte of a body, so long after it was asked.
    case firstByte(after: Duration)
    /// It has sent the head of an answer, whatever it says.
    case answered
    /// A request to it has failed, or it was only busy. That it does not have the content is no failure.
    case failed(wasBusy: Bool)
    /// It sent nothing for so long. Whether it counts as silent now, ``PeerBook/isSilent(_:now:)`` says.
    case timedOut(for: Duration)
    /// It alone sent bytes that are not what the digest says.
    case sentWrongBytes(Digest)
    /// What it and others sent together is not what the digest says.
    case mayHaveSentWrongBytes(Digest)
    /// A client asked again for what came from it, and got the right bytes from another peer.
    case isDoubted(Digest)
    /// It gave a range of some content, at this address.
    case gaveRange(ofKey: String, at: PeerAddress)
    /// It did not give some content that it was asked for.
    case failedToGive(key: String)
}
