/// A protocol that secures a connection.
public enum SecurityProtocol: String, Sendable, CaseIterable {
    /// TLS 1.3 with certificates that prove peer ids (libp2p/specs, tls/tls.md).
    case tls = "/tls/1.0.0"
    /// Noise XX with X25519, ChaCha20-Poly1305 and SHA-256 (libp2p/specs, noise/README.md).
    case noise = "/noise"

    /// The name for multistream-select.
    public var protocolID: String { rawValue }
}
