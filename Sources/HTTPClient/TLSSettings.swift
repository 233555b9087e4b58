import NIOSSL

/// How an `https` server is trusted, and how this side proves who it is. All texts are PEM.
public struct TLSSettings: Sendable {
    /// The authorities whose certificates are accepted; those of the system when `nil`.
    public var authorities: [UInt8]?
    /// The certificate chain of this side, its own certificate first.
    public var certificateChain: [UInt8]?
    /// The key of that certificate.
    public var privateKey: [UInt8]?
    /// The name that the server's certificate must have, when it is not the one that is dialled.
    public var serverName: String?
    /// Whether the certificate of the server is looked at. Without that anybody may pose as the server.
    public var verifiesServer = true

    /// Trusts the authorities of the system.
    public init() {}

    /// What NIO's TLS needs.
    func makeContext() throws(HTTPClientError) -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        if let authorities {
            configuration.trustRoots = .certificates(try certificates(authorities, of: "the certificate authority"))
        }
        if !verifiesServer { configuration.certificateVerification = .none }
        if let certificateChain {
            configuration.certificateChain = try certificates(certificateChain, of: "the client certificate").map {
                .certificate($0)
            }
            guard let privateKey else { throw .unusableCredentials("the client certificate has no key") }
            do {
                configuration.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: privateKey, format: .pem))
            } catch {
                throw .unusableCredentials("the key of the client certificate is no PEM key")
            }
        }
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw .unusableCredentials("the client certificate and its key do not belong together")
        }
    }

    private func certificates(_ bytes: [UInt8], of name: String) throws(HTTPClientError) -> [NIOSSLCertificate] {
        guard let found = try? NIOSSLCertificate.fromPEMBytes(bytes), !found.isEmpty else {
            throw .unusableCredentials("\(name) holds no PEM certificate")
        }
        return found
    }
}

extension HTTPClient {
    /// Finds out whether TLS settings can be used, without connecting.
    public static func check(_ settings: TLSSettings) throws(HTTPClientError) {
        _ = try settings.makeContext()
    }
}
