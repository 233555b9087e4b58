internal import Kademlia

extension Message {
    /// About how many bytes the message takes on the wire, for peers with one IPv4 address each.
    var estimatedSize: Int {
        6 + (key.isEmpty ? 0 : 2 + key.count) + (closerPeers.count + providerPeers.count) * MessageSize.peer
    }
}

/// Sizes of the parts of messages, in bytes.
enum MessageSize {
    /// A peer: its id, one IPv4 address with a port, and whether it is connected.
    static let peer = 52
}

extension RecordUpdate {
    /// About how many bytes the update takes on the wire: each key is a field of 32 bytes.
    var estimatedSize: Int { 8 + keys.count * 34 + MessageSize.peer }
}
