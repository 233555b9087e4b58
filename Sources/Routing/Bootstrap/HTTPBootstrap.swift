import Files
import HTTPClient
import Multiformats
import NIOCore

/// A URL at which nodes tell of themselves, such as `/id` of another node.
public struct HTTPBootstrap: BootstrapSource {
    /// The files by which an `https` URL is trusted, and by which this node proves who it is; each is PEM.
    public struct TLSFiles: Hashable, Sendable {
        /// The authorities; those of the system when `nil`.
        public var authority: String?
        /// The certificate of this node.
        public var certificate: String?
        /// The key of that certificate.
        public var key: String?

        /// Names the files.
        public init(authority: String? = nil, certificate: String? = nil, key: String? = nil) {
            self.authority = authority
            self.certificate = certificate
            self.key = key
        }

        /// Reads all of them anew.
        func read() throws -> TLSSettings {
            var settings = TLSSettings()
            settings.authorities = try bytes(authority)
            settings.certificateChain = try bytes(certificate)
            settings.privateKey = try bytes(key)
            return settings
        }

        private func bytes(_ path: String?) throws -> [UInt8]? {
            guard let path else { return nil }
            guard let bytes = try Files.read(path, limit: 1 << 20) else { throw NoFile(path: path) }
            return bytes
        }

        private struct NoFile: Error, CustomStringConvertible {
            let path: String
            var description: String { "there is no file \(path)" }
        }
    }

    /// The URL could not be used.
    struct Failure: Error, CustomStringConvertible {
        let url: HTTPURL
        let reason: String
        var description: String { "cannot learn of peers from \(url): \(reason)" }
    }

    private let url: HTTPURL
    private let port: UInt16
    private let client: HTTPClient
    private static let timeout = Duration.seconds(5)

    /// Makes a source.
    ///
    /// - Parameter port: The port of the router where an address tells none.
    public init(url: HTTPURL, tls: TLSFiles = TLSFiles(), port: UInt16, group: any EventLoopGroup) {
        self.url = url
        self.port = port
        client = HTTPClient(url: url, group: group, keepsConnection: false) { try tls.read() }
    }

    /// Finds out whether TLS files can be used.
    ///
    /// - Throws: What is wrong with them.
    public static func check(_ files: TLSFiles) throws {
        try HTTPClient.check(try files.read())
    }

    /// What the URL tells now.
    public func addresses() async throws -> [Multiaddr] {
        do {
            let request = HTTPRequest(
                path: url.path.isEmpty ? "/" : url.path,
                fields: [(name: "Accept", value: "application/json, text/plain")]
            )
            let response = try await client.send(request, timeout: Self.timeout)
            guard response.status == 200 else {
                throw Failure(url: url, reason: "the answer is \(response.status), not 200")
            }
            return try PeerDocument.addresses(in: response.body, port: port)
        } catch let error as CancellationError {
            throw error
        } catch let error as Failure {
            throw error
        } catch {
            throw Failure(url: url, reason: "\(error)")
        }
    }
}
