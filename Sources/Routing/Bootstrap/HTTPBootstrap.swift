import Files
import HTTPClient
import Multiformats
import NIOCore

/// A URL with the ids and addresses of nodes, such as `/id` of another node.
public struct HTTPBootstrap: BootstrapSource {
    /// The PEM files with the trusted authorities for an `https` URL, and with this node's credentials.
    public struct TLSFiles: Hashable, Sendable {
        /// The authorities; the system's if `nil`.
        public var authority: String?
        /// The certificate of this node.
        public var certificate: String?
        /// The key of that certificate.
        public var key: String?

        /// Creates a set of files.
        public init(authority: String? = nil, certificate: String? = nil, key: String? = nil) {
            self.authority = authority
            self.certificate = certificate
            self.key = key
        }

        /// Reads the files.
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
            var description: String { "file \(path) not found" }
        }
    }

    /// An error of the URL.
    struct Failure: Error, CustomStringConvertible {
        let url: HTTPURL
        let reason: String
        var description: String { "cannot get peers from \(url): \(reason)" }
    }

    private let url: HTTPURL
    private let port: UInt16
    private let client: HTTPClient
    private static let timeout = Duration.seconds(5)

    /// Creates a source.
    ///
    /// - Parameter port: The router port for addresses without one.
    public init(url: HTTPURL, tls: TLSFiles = TLSFiles(), port: UInt16, group: any EventLoopGroup) {
        self.url = url
        self.port = port
        client = HTTPClient(url: url, group: group, keepsConnection: false) { try tls.read() }
    }

    /// Checks whether TLS files are usable.
    ///
    /// - Throws: The fault of a file.
    public static func check(_ files: TLSFiles) throws {
        try HTTPClient.check(try files.read())
    }

    /// The present addresses in the document.
    public func addresses() async throws -> [Multiaddr] {
        do {
            let request = HTTPRequest(
                path: url.path.isEmpty ? "/" : url.path,
                fields: [(name: "Accept", value: "application/json, text/plain")]
            )
            let response = try await client.send(request, timeout: Self.timeout)
            guard response.status == 200 else {
                throw Failure(url: url, reason: "expected status 200, got \(response.status)")
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
