/// The end of a transfer of large content to a client, as far as it says which peers sent the right bytes.
package enum DeliveryOutcome: Hashable, Sendable {
    /// This node hashed all of it, and the digest matched. It came from these peers.
    case matched(sources: [String])
    /// This node hashed all of it, and the digest did not match.
    case mismatched
    /// The peer that sent it, and sent all of it, had checked it at that moment.
    case checkedByPeer(String)
    /// The client got a part, or all, of this many bytes in all, which this node did not check.
    case unchecked(part: Range<Int64>, size: Int64, sources: [String])
}
