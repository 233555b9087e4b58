import HTTPServer
import LibP2P
import Logging
import Multiformats
import NIOCore
import ServiceLifecycle

/// A server that says under which id and addresses the node's router is reached, for nodes that bootstrap over HTTP.
///
/// `/id` and `/` have an array with one object, which nodes of this project and those of Spegel's main branch in Go read.
/// Spegel v0.7.4 reads the object alone. It always asks for `/id`, with nothing but the fields of Go's HTTP client, so
/// such a request gets the object there. `?form=object` and `?form=array` name a form.
public struct IdentityServer: Service {
    private let server: HTTPServer

    /// Makes a server for a host.
    ///
    /// - Parameters:
    ///   - address: The address to listen on; without a host, all addresses of the machine.
    ///   - host: The host whose id and addresses it names.
    public init(
        address: (host: String?, port: UInt16),
        host: Host,
        group: any EventLoopGroup,
        logger: Logger
    ) {
        self.init(address: address, group: group, logger: logger) { (host.peerID, host.listenAddresses) }
    }

    init(
        address: (host: String?, port: UInt16),
        group: any EventLoopGroup,
        logger: Logger,
        peer: @escaping @Sendable () -> (id: PeerID, addresses: [Multiaddr])
    ) {
        var configuration = HTTPServer.Configuration(host: address.host, port: Int(address.port))
        configuration.setting = "--http-bootstrap-addr"
        server = HTTPServer(
            configuration: configuration,
            routes: HTTPServer.Routes(reads: [
                "/id": { Self.response(to: $0, isArray: !Self.isOfVersion074($0.client), peer()) },
                // A peer that is configured as `http://HOST:PORT/` may be asked for this.
                "//id": { Self.response(to: $0, isArray: !Self.isOfVersion074($0.client), peer()) },
                "/": { Self.response(to: $0, isArray: true, peer()) },
            ]),
            group: group,
            logger: logger
        )
    }

    private static func response(
        to request: ServerRequest,
        isArray: Bool,
        _ peer: (id: PeerID, addresses: [Multiaddr])
    ) -> ServerResponse {
        let isArray =
            switch request.parameters["form"] {
            case "object": false
            case "array": true
            default: isArray
            }
        let json = PeerDocument.json(id: peer.id, addresses: peer.addresses, isArray: isArray)
        return ServerResponse(contentType: "application/json", body: .text(String(decoding: json, as: UTF8.self)))
    }

    /// Whether a request for `/id` looks like one of Spegel v0.7.4: from Go's HTTP client, without a field that says what
    /// the client can read.
    static func isOfVersion074(_ client: RequestClient) -> Bool {
        client.accept == nil && client.userAgent?.hasPrefix("Go-http-client/") == true
    }

    /// Serves until the service shuts down or the task is cancelled.
    public func run() async throws {
        try await server.run()
    }

    /// Listens.
    ///
    /// - Returns: The address of the listener.
    func start() async throws -> SocketAddress? {
        try await server.start()
    }

    /// Stops to listen and closes all connections.
    func shutdown() async {
        await server.shutdown()
    }
}
