import Files
import HTTPClient
import Multiformats
import NIOCore

/// A URL with the ids and addresses of nodes, or the address of a node that has them at `/id`.
///
/// Spegel v0.7.4 appends `/id` to what is configured; other versions ask for the URL as it stands. This source asks for the
/// URL as it stands, then for `/id` below it, unless the URL ends in that.
public struct HTTPBootstrap: BootstrapSource {
    /// The PEM files with the trusted authorities for an `https` URL, and with this node's credentials.
    public struct TLSFiles: Hashable, Sendable {
        /// The authorities; the system's if `nil`.
        public var authority: String?
        /// The certificate of this node.
        public var certificate: String?
        /// The key of that certificate.
        public var key: String?
        /// The folder with `ca.crt`, `tls.crt` and `tls.key`, for files that are not named above. Each may be missing.
        public var folder: String?

        /// Creates a set of files.
        public init(
            authority: String? = nil,
            certificate: String? = nil,
            key: String? = nil,
            folder: String? = nil
        ) {
            self.authority = authority
            self.certificate = certificate
            self.key = key
            self.folder = folder
        }

        /// Reads the files.
        func read() throws -> TLSSettings {
            var settings = TLSSettings()
            settings.authorities = try bytes(authority) ?? bytes(inFolder: "ca.crt")
            settings.certificateChain = try bytes(certificate)
            settings.privateKey = try bytes(key)
            if certificate == nil, key == nil, folder != nil {
                settings.certificateChain = try bytes(inFolder: "tls.crt")
                settings.privateKey = try bytes(inFolder: "tls.key")
                guard (settings.certificateChain == nil) == (settings.privateKey == nil) else {
                    throw NoFile(path: "\(folder ?? "")/tls.\(settings.privateKey == nil ? "key" : "crt")")
                }
            }
            return settings
        }

        private func bytes(inFolder name: String) throws -> [UInt8]? {
            try folder.flatMap { try Files.read("\($0)/\(name)", limit: 1 << 20) }
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
        /// Whether nothing is there.
        var isAbsent = false
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
        var failures: [Failure] = []
        for path in Self.paths(of: url) {
            do {
                return try await addresses(at: path)
            } catch let failure as Failure {
                failures.append(failure)
            }
        }
        throw failures.first { !$0.isAbsent } ?? failures.first ?? Failure(url: url, reason: "no path to ask for")
    }

    /// The paths to ask for, in this order.
    static func paths(of url: HTTPURL) -> [String] {
        let given = url.path.isEmpty ? "/" : url.path
        let end = given.firstIndex(of: "?") ?? given.endIndex
        var (path, query) = (given[..<end], given[end...])
        while path.last == "/" { path.removeLast() }
        guard !path.hasSuffix("/id") else { return [given] }
        return [given, path + "/id" + query]
    }

    private func addresses(at path: String) async throws -> [Multiaddr] {
        let asked = HTTPURL(isSecure: url.isSecure, host: url.host, port: url.port, path: path)
        do {
            let request = HTTPRequest(path: path, fields: [(name: "Accept", value: "application/json, text/plain")])
            let response = try await client.send(request, timeout: Self.timeout)
            guard response.status == 200 else {
                throw Failure(
                    url: asked,
                    reason: "expected status 200, got \(response.status)",
                    isAbsent: response.status == 404
                )
            }
            return try PeerDocument.addresses(in: response.body, port: port)
        } catch let error as CancellationError {
            throw error
        } catch let error as Failure {
            throw error
        } catch {
            throw Failure(url: asked, reason: "\(error)")
        }
    }
}
