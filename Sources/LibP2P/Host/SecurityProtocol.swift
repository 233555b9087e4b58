/// A protocol that secures a connection.
public enum SecurityProtocol: String, Sendable {
    /// TLS 1.3 with certificates that prove peer ids (libp2p/specs, tls/tls.md).
    case tls = "/tls/1.0.0"
    /// Noise XX with X25519, ChaCha20-Poly1305 and SHA-256 (libp2p/specs, noise/README.md).
    case noise = "/noise"
    /// The same with a pre-shared key, XXpsk0: both sides prove that they know the cluster key. It is the only one that a
    /// node with a key offers.
    ///
    /// The key is mixed into all of the handshake's keys, beside the ephemeral keys of both sides and the Noise keys that
    /// their identities have signed. So each message proves it for this handshake and these two peers, none can be replayed
    /// or relayed into another handshake, and it takes no further message. An outsider can decrypt none, not even one with a
    /// peer's id.
    case cluster = "/spegel/noise-xxpsk0/1.0.0"

    /// The protocols of a node without a cluster key, the preferred one first.
    public static let open: [SecurityProtocol] = [.tls, .noise]

    /// The name for multistream-select.
    public var protocolID: String { rawValue }
}
