import Files
import HTTPClient

/// Where the API server is, how it is trusted, and how this node proves who it is.
///
/// Files are read anew for each request (the token) or connection (certificates), so that rotated ones are used.
public struct ClusterAccess: Sendable {
    /// The bytes of a setting, or the file that holds them.
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
                throw AccessError("there is no file \(path)")
            }
        }
    }

    /// The API server; its path is a prefix of all paths.
    public internal(set) var server: HTTPURL
    /// The namespace that objects are in when none is named, if it is known.
    public internal(set) var namespace: String?
    /// What an administrator should be told about these settings, if anything.
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

    /// The token to send now, if one is used.
    func token() throws(AccessError) -> String? {
        guard let bearerToken else { return nil }
        let text = String(decoding: try bearerToken.read(), as: UTF8.self)
        let token = text.split(whereSeparator: \.isWhitespace).joined()
        guard !token.isEmpty, token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw AccessError("the token is empty or no token")
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

    /// Reads once all that will be read later, so that a wrong setting is told at the start.
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

/// Why the API server cannot be used as told.
public struct AccessError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong.
    public let description: String

    init(_ description: String) {
        self.description = description
    }
}
