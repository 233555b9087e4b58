internal import Kademlia

extension Message {
    /// The approximate size on the wire in bytes, for peers with one IPv4 address each.
    var estimatedSize: Int {
        6 + (key.isEmpty ? 0 : 2 + key.count) + (closerPeers.count + providerPeers.count) * MessageSize.peer
    }
}

/// The sizes of parts of messages in bytes.
enum MessageSize {
    /// A peer: its id, one IPv4 address with a port, and its connection state.
    static let peer = 52
}

extension RecordUpdate {
    /// The approximate size on the wire in bytes. Each key is a field of 32 bytes.
    var estimatedSize: Int { 8 + keys.count * 34 + MessageSize.peer }
}
