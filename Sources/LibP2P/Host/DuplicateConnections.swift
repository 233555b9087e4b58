import Multiformats

/// Which of two connections between the same nodes is kept, if each node has dialled the other at the same time.
///
/// The connection that the node with the smaller id has dialled stays. So both nodes choose the same one, without a word
/// about it. Nodes of other projects keep both; then this node alone closes the other one.
enum DuplicateConnections {
    /// Whether a connection gives way to one in the other direction.
    static func givesWay(isInbound: Bool, own: PeerID, remote: PeerID) -> Bool {
        let ownIsSmaller = own.bytes.lexicographicallyPrecedes(remote.bytes)
        return isInbound == ownIsSmaller
    }
}
