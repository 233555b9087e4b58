import Glibc
import Logging
import Multiformats
import NIOCore
import NIOPosix
import Synchronization

extension Host {
    /// A connection to a peer: an existing one, or a new one.
    ///
    /// - Parameter unusable: A connection that is known to be of no more use.
    func connection(to peer: PeerInfo, otherThan unusable: Connection? = nil) async throws -> Connection {
        guard peer.id != peerID else { throw HostError.selfDial }
        let waiter = Waiter<Connection>()
        let (existing, hasToDial) = try state.withLock { state -> (Connection?, Bool) in
            let living = state.table.connections[peer.id]?.first { $0 !== unusable && $0.channel.isActive }
            if let living { return (living, false) }
            return (nil, try state.table.joinDial(peer.id, waiter))
        }
        if let existing { return existing }
        if hasToDial {
            let isStarted = tasks.start { [self] in
                let result: Result<Connection, any Error>
                do {
                    result = .success(try await dialAny(peer))
                } catch {
                    result = .failure(error)
                }
                for waiter in state.withLock({ $0.table.endDial(peer.id) }) { waiter.resume(result) }
            }
            if !isStarted {
                for waiter in state.withLock({ $0.table.endDial(peer.id) }) {
                    waiter.resume(.failure(HostError.notRunning))
                }
            }
        }
        return try await waiter.wait()
    }

    /// Tries a peer's addresses, each a little after the previous one, until one answers.
    private func dialAny(_ peer: PeerInfo) async throws -> Connection {
        var seen: Set<Multiaddr> = []
        let addresses = peer.addresses.filter { address in
            address.tcpPort != nil && (address.peerID ?? peer.id) == peer.id
                && seen.insert(address.withoutPeerID).inserted
        }.prefix(configuration.maxDialAddresses)
        guard !addresses.isEmpty else { throw HostError.noAddresses(peer.id) }
        // Neither the tasks nor the body throw: a throwing body that returns from within its loop over tuples is
        // compiled wrongly by Swift 6.3 when optimised (a value is released twice).
        let stagger = configuration.dialStagger
        let race = await withTaskGroup(of: DialAttempt.self, returning: DialRace.self) { group in
            for (index, address) in addresses.enumerated() {
                group.addTask { await self.attempt(address, expecting: peer.id, after: stagger * index) }
            }
            var race = DialRace()
            while race.winner == nil, let attempt = await group.next() { race.add(attempt) }
            group.cancelAll()
            return race
        }
        if let winner = race.winner { return winner }
        try Task.checkCancellation()
        throw HostError.dialFailed(peer.id, attempts: race.failures)
    }

    /// Dials one address after a delay; gives the reason when it fails.
    private func attempt(_ address: Multiaddr, expecting peer: PeerID, after delay: Duration) async -> DialAttempt {
        do {
            try await Task.sleep(for: delay)
            return .connected(try await dial(address, expecting: peer))
        } catch {
            return .failed(address, reason: Self.describe(error))
        }
    }

    /// Dials one address and runs the handshakes.
    ///
    /// - Parameters:
    ///   - address: An IP or DNS address with a TCP port.
    ///   - expectedPeer: Who must answer; anybody but this host itself if `nil`.
    func dial(_ address: Multiaddr, expecting expectedPeer: PeerID?) async throws -> Connection {
        guard let host = address.host, let port = address.tcpPort, address.withoutPeerID.components.count == 2
        else { throw HostError.unsupportedAddress(address) }
        try state.withLock { state in try state.table.beginOutbound() }
        defer { state.withLock { $0.table.endOutbound() } }
        let timeout = configuration.dialTimeout
        let handle = DialHandle()
        let initializer: @Sendable (any Channel) -> EventLoopFuture<EventLoopFuture<Connection>> = { [self] channel in
            handle.attach(channel)
            let established = upgrade(
                channel,
                role: .dialer,
                remoteAddress: address.withoutPeerID,
                expecting: expectedPeer,
                timeout: timeout
            )
            return channel.eventLoop.makeSucceededFuture(established)
        }
        return try await withTaskCancellationHandler {
            let bootstrap = ClientBootstrap(group: group).connectTimeout(TimeAmount(timeout))
            let established =
                if let ip = address.ipAddress {
                    try await bootstrap.connect(
                        to: SocketAddress(ipAddress: ip.text, port: Int(port)),
                        channelInitializer: initializer
                    )
                } else {
                    try await bootstrap.connect(host: host, port: Int(port), channelInitializer: initializer)
                }
            return try await established.get()
        } onCancel: {
            handle.cancel()
        }
    }

    /// Why a dial failed, in a few words.
    package static func describe(_ error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            error.connectionErrors.first.map { describe($0.error) }
                ?? (error.dnsAError ?? error.dnsAAAAError).map { "the name cannot be resolved: \($0)" } ?? "\(error)"
        case let error as IOError where error.errnoCode == ECONNREFUSED: "connection refused"
        case let error as IOError where error.errnoCode == EHOSTUNREACH: "no route to the host"
        case let error as IOError where error.errnoCode == ENETUNREACH: "the network is unreachable"
        case ChannelError.connectTimeout(let time): "no answer within \(time.nanoseconds / 1_000_000) ms"
        default: "\(error)"
        }
    }
}

/// How the attempt at one address ended.
private enum DialAttempt: Sendable {
    case connected(Connection)
    case failed(Multiaddr, reason: String)
}

/// The attempts at a peer's addresses so far.
private struct DialRace: Sendable {
    var winner: Connection?
    var failures: [(address: Multiaddr, reason: String)] = []

    mutating func add(_ attempt: DialAttempt) {
        switch attempt {
        case .connected(let connection): winner = connection
        case .failed(let address, let reason): failures.append((address, reason))
        }
    }
}
