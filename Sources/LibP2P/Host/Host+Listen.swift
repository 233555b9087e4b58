import Glibc
import Listening
import Logging
import Multiformats
import NIOCore
import NIOPosix
import Synchronization
import Time

extension Host {
    /// The reachable addresses of this host with the bound ports.
    ///
    /// `0.0.0.0` and `::` expand to the addresses of all interfaces. Loopback addresses are omitted if there are
    /// others. Empty before ``start()``.
    ///
    /// Reads the interfaces at most every ten seconds.
    public var listenAddresses: [Multiaddr] {
        let now = MonotonicTime.now
        let (bound, cached) = state.withLock { ($0.bound, $0.reachable) }
        guard bound.contains(where: { $0.ipAddress?.isUnspecified == true }) else {
            return Multiaddr.reachable(bound: bound, interfaces: [])
        }
        if let cached, now < cached.expiry { return cached.addresses }
        let devices = (try? System.enumerateDevices()) ?? []
        let interfaces = devices.compactMap { $0.address?.ipAddress }.compactMap { try? IPAddress($0) }
        let addresses = Multiaddr.reachable(bound: bound, interfaces: interfaces)
        state.withLock { $0.reachable = (addresses, now + .seconds(10)) }
        return addresses
    }

    /// Binds the listen addresses and begins to accept connections.
    ///
    /// - Throws: ``HostError/cannotListen(_:reason:)`` or ``HostError/unsupportedAddress(_:)``. On an error no address
    ///   stays bound.
    public func start() async throws {
        var servers: [any Channel] = []
        var bound: [Multiaddr] = []
        do {
            for address in configuration.listenAddresses {
                let channel = try await listen(on: address)
                servers.append(channel)
                bound.append(channel.localAddress.flatMap(Multiaddr.init(socketAddress:)) ?? address)
            }
            try state.withLock { state in
                guard !state.table.isClosed, !state.isStarted else { throw HostError.notRunning }
                state.isStarted = true
                state.servers = servers
                state.bound = bound
            }
        } catch {
            for server in servers { try? await server.close() }
            throw error
        }
        logger.info(
            "listening for peers",
            metadata: ["peer": "\(peerID)", "addresses": "\(bound.map(\.description).joined(separator: ", "))"]
        )
    }

    private func listen(on address: Multiaddr) async throws -> any Channel {
        guard let ip = address.ipAddress, let port = address.tcpPort, address.withoutPeerID.components.count == 2
        else { throw HostError.unsupportedAddress(address) }
        var bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { [resources] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        AcceptPause { resources.count { $0.acceptFailures += 1 } }
                    )
                }
            }
            .childChannelInitializer { [weak self] channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let self else { throw HostError.notRunning }
                    self.accept(channel)
                }
            }
        if ip.bytes.count == 16 {
            // Lets an IPv4 socket use the same port.
            let option = ChannelOptions.Types.SocketOption(level: .ipv6, name: .ipv6_v6only)
            bootstrap = bootstrap.serverChannelOption(option, value: 1)
        }
        do {
            return try await bootstrap.bind(to: try SocketAddress(ipAddress: ip.text, port: Int(port))).get()
        } catch let error as IOError {
            throw HostError.cannotListen(address, reason: Self.reason(of: error))
        }
    }

    private static func reason(of error: IOError) -> String {
        switch error.errnoCode {
        case EADDRINUSE: "address in use by another program"
        case EADDRNOTAVAIL: "no interface of this machine has the address"
        case EACCES: "no permission to use the port"
        default: error.description
        }
    }

    /// Begins the handshakes of an accepted channel, or closes it if there is no place for it.
    private func accept(_ channel: any Channel) {
        let remoteAddress = channel.remoteAddress.flatMap(Multiaddr.init(socketAddress:))
        guard let remoteAddress,
            state.withLock({ $0.table.beginInbound(channel, from: remoteAddress.ipAddress) })
        else {
            resources.count { $0.connectionsRefused += 1 }
            channel.close(promise: nil)
            return
        }
        let established = upgrade(
            channel,
            role: .listener,
            remoteAddress: remoteAddress,
            expecting: nil,
            timeout: configuration.acceptTimeout
        )
        established.whenComplete { [weak self] result in
            guard let self else { return }
            state.withLock { $0.table.endInbound(channel) }
            if case .failure(let error) = result {
                logger.debug(
                    "inbound handshake failed",
                    metadata: ["address": "\(remoteAddress)", "error": "\(error)"]
                )
            }
        }
    }

    /// Adds the upgrade handlers to a fresh channel. Must be called on its event loop.
    func upgrade(
        _ channel: any Channel,
        role: YamuxSession.Role,
        remoteAddress: Multiaddr,
        expecting expectedPeer: PeerID?,
        timeout: Duration
    ) -> EventLoopFuture<Connection> {
        let promise = channel.eventLoop.makePromise(of: Connection.self)
        let parameters = ConnectionUpgrader.Parameters(
            role: role,
            keyPair: keyPair,
            tls: tls,
            noiseKey: noiseKey,
            expectedPeer: expectedPeer,
            remoteAddress: remoteAddress,
            settings: configuration,
            handlers: handlers,
            tasks: tasks,
            resources: resources,
            timeout: timeout,
            onOutsider: { [logger] error in
                logger.warning(
                    "peer refused: cluster key not proven",
                    metadata: ["address": "\(remoteAddress)", "error": "\(error)"]
                )
            }
        )
        let upgrader = ConnectionUpgrader(parameters: parameters, promise: promise) { [weak self] connection in
            guard let self else { throw HostError.notRunning }
            try register(connection)
        }
        do {
            let options = channel.syncOptions
            try options?.setOption(.tcpOption(.tcp_nodelay), value: 1)
            // Small buffers at first, because an idle node may have a thousand connections.
            try options?.setOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(minimum: 512, initial: 2048, maximum: 65536)
            )
            try channel.pipeline.syncOperations.addHandler(upgrader)
        } catch {
            promise.fail(error)
            channel.close(promise: nil)
        }
        promise.futureResult.whenFailure { [weak self] error in
            if case HostError.sharedIdentity = error { self?.meetSharedIdentity(at: remoteAddress, role) }
        }
        return promise.futureResult
    }
}
