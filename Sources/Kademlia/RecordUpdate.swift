public import Multiformats

/// A node's update of its records at a holder: keys that it provides, or no longer provides.
///
/// The sender is the provider, so that a node can update only its own records. Between nodes of this project an update
/// is one message of the records protocol. For others an announcement becomes an ADD_PROVIDER for each key; the other
/// kinds have no such form.
public struct RecordUpdate: Hashable, Sendable {
    /// The kinds of updates.
    public enum Kind: Hashable, Sendable {
        /// The sender provides the keys.
        case announce
        /// The sender no longer provides the keys.
        case withdraw
        /// The sender leaves the network and provides nothing any more. Has no keys.
        case leave
    }

    /// The kind.
    public var kind: Kind
    /// The keys.
    public var keys: [Key]
    /// The sender, with its addresses in an announcement.
    public var provider: PeerInfo
    /// The lifetime of the records unless they are announced again.
    public var timeToLive: Duration

    /// Creates an update.
    public init(kind: Kind, keys: [Key], provider: PeerInfo, timeToLive: Duration) {
        self.kind = kind
        self.keys = keys
        self.provider = provider
        self.timeToLive = timeToLive
    }

    /// The announcement for other implementations: an ADD_PROVIDER for each key. Empty for other kinds.
    public var messages: [Message] {
        guard kind == .announce else { return [] }
        let provider = [Message.Peer(provider, connection: .connected)]
        return keys.map { Message(kind: .addProvider, key: $0.bytes, providerPeers: provider) }
    }
}
