public import Multiformats

/// What a node tells a holder of its records: keys that it provides, or provides no longer.
///
/// A node speaks for itself alone: the provider is the sender. Between nodes of this project it is one message of the
/// records protocol; to others an announcement becomes an ADD_PROVIDER for each key, and the rest cannot be said.
public struct RecordUpdate: Hashable, Sendable {
    /// What is told.
    public enum Kind: Hashable, Sendable {
        /// The keys are provided.
        case announce
        /// The keys are provided no longer.
        case withdraw
        /// Nothing is provided any more, and the sender leaves the network. There are no keys.
        case leave
    }

    /// What is told.
    public var kind: Kind
    /// The keys it is told of.
    public var keys: [Key]
    /// The sender, and for an announcement where it is reached.
    public var provider: PeerInfo
    /// How long the records are valid, unless they are announced again.
    public var timeToLive: Duration

    /// An update.
    public init(kind: Kind, keys: [Key], provider: PeerInfo, timeToLive: Duration) {
        self.kind = kind
        self.keys = keys
        self.provider = provider
        self.timeToLive = timeToLive
    }

    /// The announcement as others understand it: an ADD_PROVIDER for each key. Empty for another kind.
    public var messages: [Message] {
        guard kind == .announce else { return [] }
        let provider = [Message.Peer(provider, connection: .connected)]
        return keys.map { Message(kind: .addProvider, key: $0.bytes, providerPeers: provider) }
    }
}
