import HTTPServer
import LibP2P
import Logging
import Multiformats
import NIOCore
import ServiceLifecycle

/// A server that says at `/id` under which id and addresses the node's router is reached, for nodes that bootstrap over
/// HTTP.
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
                "/id": { request in
                    let (id, addresses) = peer()
                    let isArray = request.parameters["form"] != "object"
                    let json = PeerDocument.json(id: id, addresses: addresses, isArray: isArray)
                    return ServerResponse(
                        contentType: "application/json",
                        body: .text(String(decoding: json, as: UTF8.self))
                    )
                }
            ]),
            group: group,
            logger: logger
        )
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
