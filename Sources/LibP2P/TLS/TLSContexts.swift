import NIOCore
internal import NIOSSL
import Synchronization

/// The certificate and settings that all TLS connections of a host share. They are created with the first connection.
final class TLSContexts: Sendable {
    /// The ALPN protocol that stands for "negotiate the muxer afterwards".
    static let plainProtocol = "libp2p"
    /// How long a locally closed connection waits for the peer's close notification, in milliseconds.
    private static let closeTimeout = 500

    private struct Pair {
        var client: NIOSSLContext
        var server: NIOSSLContext
        var certificate: [UInt8]
    }

    private let identity: KeyPair
    private let applicationProtocols: [String]
    private let pair = Mutex<Pair?>(nil)

    /// - Parameters:
    ///   - identity: The key that the certificate proves.
    ///   - muxers: The muxers to offer within the handshake, the preferred one first
    ///     (libp2p/specs, connections/inlined-muxer-negotiation.md).
    init(identity: KeyPair, muxers: [String]) {
        self.identity = identity
        applicationProtocols = muxers + [Self.plainProtocol]
    }

    /// The context of a role, created on first use.
    func context(_ role: YamuxSession.Role) throws(TLSError) -> NIOSSLContext {
        do {
            let pair = try pair.withLock { pair in
                if let pair { return pair }
                let made = try makePair()
                pair = made
                return made
            }
            return role == .dialer ? pair.client : pair.server
        } catch let error as TLSError {
            throw error
        } catch {
            throw .localFailure(reason: "\(error)")
        }
    }

    /// Whether a certificate is the one of this host, in DER.
    func isOwn(_ certificate: [UInt8]) -> Bool {
        pair.withLock { $0?.certificate == certificate }
    }

    private func makePair() throws -> Pair {
        let own = try TLSCertificate(identity: identity)
        let chain = [NIOSSLCertificateSource.certificate(try NIOSSLCertificate(bytes: own.der, format: .der))]
        let key = NIOSSLPrivateKeySource.privateKey(try NIOSSLPrivateKey(bytes: own.privateKey, format: .der))
        var client = TLSConfiguration.makeClientConfiguration()
        client.certificateChain = chain
        client.privateKey = key
        return Pair(
            client: try context(client),
            server: try context(.makeServerConfiguration(certificateChain: chain, privateKey: key)),
            certificate: own.der
        )
    }

    private func context(_ configuration: TLSConfiguration) throws -> NIOSSLContext {
        var configuration = configuration
        configuration.minimumTLSVersion = .tlsv13
        configuration.applicationProtocols = applicationProtocols
        // Both ends must present a certificate, which ``TLSPeerHandler`` verifies. No authority is trusted, and the
        // system's list of them is not read.
        configuration.certificateVerification = .noHostnameVerification
        configuration.trustRoots = .certificates([])
        configuration.verifySignatureAlgorithms = [
            .ecdsaSecp256R1Sha256, .ed25519, .ecdsaSecp384R1Sha384, .ecdsaSecp521R1Sha512,
            .rsaPssRsaeSha256, .rsaPssRsaeSha384, .rsaPssRsaeSha512,
        ]
        configuration.shutdownTimeout = .milliseconds(Int64(Self.closeTimeout))
        return try NIOSSLContext(configuration: configuration)
    }
}
