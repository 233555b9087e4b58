import Files
import HTTPClient

/// The address of the API server, its trusted authorities, and the credentials of this node.
///
/// The token's file is read for each request, and certificate files for each connection, so that rotation takes effect.
public struct ClusterAccess: Sendable {
    /// The bytes of a setting, or the file with them.
    enum Material: Hashable, Sendable {
        case bytes([UInt8])
        case file(String)

        func read() throws(AccessError) -> [UInt8] {
            switch self {
            case .bytes(let bytes): return bytes
            case .file(let path):
                do {
                    if let bytes = try Files.read(path, limit: 1 << 20) { return bytes }
                } catch {
                    throw AccessError("\(error)")
                }
                throw AccessError("file \(path) not found")
            }
        }
    }

    /// The API server. Its path is a prefix of all request paths.
    public internal(set) var server: HTTPURL
    /// The default namespace, if it is known.
    public internal(set) var namespace: String?
    /// A warning about these settings for the admin.
    public internal(set) var warning: String?

    var authority: Material?
    var clientCertificate: Material?
    var clientKey: Material?
    var bearerToken: Material?
    var serverName: String?
    var verifiesServer = true

    init(server: HTTPURL) {
        self.server = server
    }

    /// The current token, if one is used.
    func token() throws(AccessError) -> String? {
        guard let bearerToken else { return nil }
        let text = String(decoding: try bearerToken.read(), as: UTF8.self)
        let token = text.split(whereSeparator: \.isWhitespace).joined()
        guard !token.isEmpty, token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw AccessError("empty or malformed token")
        }
        return token
    }

    /// The settings for a new connection.
    var tlsSettings: @Sendable () throws -> TLSSettings {
        { [self] in
            var settings = TLSSettings()
            settings.authorities = try authority?.read()
            settings.certificateChain = try clientCertificate?.read()
            settings.privateKey = try clientKey?.read()
            settings.serverName = serverName
            settings.verifiesServer = verifiesServer
            return settings
        }
    }

    /// Reads all files once, so that a wrong setting is reported at start.
    public func check() throws(AccessError) {
        _ = try token()
        guard server.isSecure else { return }
        do {
            try HTTPClient.check(try tlsSettings())
        } catch let error as AccessError {
            throw error
        } catch {
            throw AccessError("\(error)")
        }
    }
}

/// An error in the settings for the API server.
public struct AccessError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was expected and what was found.
    public let description: String

    init(_ description: String) {
        self.description = description
    }
}
