import Glibc
import Logging
import Multiformats
import NIOCore
import NIOPosix
import Synchronization
import Time

extension Host {
    /// An existing or a new connection to a peer.
    ///
    /// - Parameters:
    ///   - unusable: A connection that must not be returned.
    ///   - isPersistent: Whether to dial addresses in backoff, too.
    func connection(
        to peer: PeerInfo,
        otherThan unusable: Connection? = nil,
        isPersistent: Bool = false
    ) async throws -> Connection {
        guard peer.id != peerID else { throw HostError.selfDial }
        let waiter = Waiter<Connection>()
        let (existing, hasToDial) = try state.withLock { state -> (Connection?, Bool) in
            let living = state.table.connections[peer.id]?.filter { $0 !== unusable && $0.channel.isActive } ?? []
            // New streams go to the connection that stays.
            let staying = living.first { connection in
                !DuplicateConnections.givesWay(isInbound: connection.isInbound, own: peerID, remote: peer.id)
            }
            if let connection = staying ?? living.first { return (connection, false) }
            return (nil, try state.table.joinDial(peer.id, waiter))
        }
        if let existing { return existing }
        if hasToDial {
            let isStarted = tasks.start { [self] in
                let result: Result<Connection, any Error>
                do {
                    result = .success(try await dialAny(peer, isPersistent: isPersistent))
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

    /// Dials a peer's addresses in the order of a ``DialRace`` until one succeeds.
    private func dialAny(_ peer: PeerInfo, isPersistent: Bool) async throws -> Connection {
        var seen: Set<Multiaddr> = []
        let addresses = peer.addresses.filter { address in
            address.tcpPort != nil && (address.peerID ?? peer.id) == peer.id
                && seen.insert(address.withoutPeerID).inserted
        }.prefix(configuration.maxDialAddresses)
        guard !addresses.isEmpty else { throw HostError.noAddresses(peer.id) }
        let start = DialRace(isPersistent ? Array(addresses) : try ready(addresses, of: peer.id))
        // Neither the tasks nor the body throw: Swift 6.3 miscompiles a throwing body that returns from within its loop
        // over tuples when it optimises (it releases a value twice).
        let (winner, failures) = await withTaskGroup(of: DialEvent.self, returning: DialOutcome.self) { group in
            var race = start
            var winner: Connection?
            var actions = race.start()
            racing: while true {
                for action in actions {
                    switch action {
                    case .dial(let address): group.addTask { await self.attempt(address, expecting: peer.id) }
                    case .wait(let number): group.addTask { await self.stagger(number) }
                    case .giveUp: break racing
                    }
                }
                switch await group.next() {
                case .connected(let connection):
                    winner = connection
                    break racing
                case .failed(let address, let reason): actions = race.failed(address, reason: reason)
                case .waited(let number): actions = race.waited(number)
                case nil: break racing
                }
            }
            group.cancelAll()
            return (winner, race.failures)
        }
        if let winner { return winner }
        try Task.checkCancellation()
        throw HostError.dialFailed(peer.id, attempts: failures)
    }

    /// The addresses of a peer without those in backoff.
    private func ready(_ addresses: ArraySlice<Multiaddr>, of peer: PeerID) throws -> [Multiaddr] {
        let now = MonotonicTime.now
        let waits = state.withLock { state in
            addresses.map { (address: $0, wait: state.backoff.wait(for: $0.withoutPeerID, now: now)) }
        }
        let ready = waits.filter { $0.wait == nil }.map(\.address)
        let heldBack = waits.count - ready.count
        if heldBack > 0 { resources.count { $0.dialsHeldBack += heldBack } }
        guard ready.isEmpty else { return ready }
        throw HostError.dialFailed(
            peer,
            attempts: waits.map {
                (address: $0.address, reason: "in backoff after a failure for another \($0.wait ?? .zero)")
            }
        )
    }

    private func stagger(_ number: Int) async -> DialEvent {
        try? await Task.sleep(for: configuration.dialStagger)
        return .waited(number)
    }

    /// Dials one address and turns an error into its reason.
    private func attempt(_ address: Multiaddr, expecting peer: PeerID) async -> DialEvent {
        do {
            return .connected(try await dial(address, expecting: peer))
        } catch {
            return .failed(address, reason: Self.describe(error))
        }
    }

    /// Dials one address and updates its backoff.
    ///
    /// - Parameters:
    ///   - address: An IP or DNS address with a TCP port.
    ///   - expectedPeer: The peer that must answer; `nil` for any peer but this host.
    func dial(_ address: Multiaddr, expecting expectedPeer: PeerID?) async throws -> Connection {
        resources.count { $0.dialsStarted += 1 }
        let place = address.withoutPeerID
        let began = MonotonicTime.now
        do {
            let connection = try await connect(address, expecting: expectedPeer)
            configuration.onDialled?(connection.kind, .now - began)
            state.withLock { $0.backoff.succeeded(place) }
            return connection
        } catch {
            let failure = DialError(reason: .init(error, isCancelled: Task.isCancelled), ipVersion: IPVersion(address))
            resources.count { counters in
                counters.dialsFailed += 1
                counters.dialErrors[failure, default: 0] += 1
            }
            if !Task.isCancelled, Self.isFault(ofAddress: error) {
                let (now, jitter) = (MonotonicTime.now, Double.random(in: 0...1))
                state.withLock { $0.backoff.failed(place, now: now, jitter: jitter) }
            }
            throw error
        }
    }

    /// Whether the failure of a dial counts against the address. A limit of this host or another peer at the address
    /// does not.
    private static func isFault(ofAddress error: any Error) -> Bool {
        switch error {
        case HostError.notRunning, HostError.tooManyConnections, HostError.unexpectedPeer, HostError.selfDial,
            HostError.sharedIdentity:
            false
        case is CancellationError: false
        default: true
        }
    }

    /// Connects to one address and runs the handshakes.
    private func connect(_ address: Multiaddr, expecting expectedPeer: PeerID?) async throws -> Connection {
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

    /// A short reason for a failed dial.
    package static func describe(_ error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            error.connectionErrors.first.map { describe($0.error) }
                ?? (error.dnsAError ?? error.dnsAAAAError).map { "cannot resolve the name: \($0)" } ?? "\(error)"
        case let error as IOError where error.errnoCode == ECONNREFUSED: "connection refused"
        case let error as IOError where error.errnoCode == EHOSTUNREACH: "no route to host"
        case let error as IOError where error.errnoCode == ENETUNREACH: "network unreachable"
        case ChannelError.connectTimeout(let time): "timed out after \(time.nanoseconds / 1_000_000) ms"
        default: "\(error)"
        }
    }
}

extension DialError.Reason {
    init(_ error: any Error, isCancelled: Bool) {
        if isCancelled {
            self = .canceled
            return
        }
        switch error {
        case is CancellationError: self = .canceled
        case HostError.handshakeTimeout: self = .deadline
        case ChannelError.connectTimeout: self = .timeout
        case let error as IOError where error.errnoCode == ETIMEDOUT: self = .timeout
        case let error as IOError where error.errnoCode == ECONNREFUSED: self = .connectionRefused
        case let error as NIOConnectionError:
            self = error.connectionErrors.first.map { Self($0.error, isCancelled: false) } ?? .other
        default: self = .other
        }
    }
}

/// An event while a peer's addresses are dialled.
private enum DialEvent: Sendable {
    case connected(Connection)
    case failed(Multiaddr, reason: String)
    case waited(Int)
}

private typealias DialOutcome = (winner: Connection?, failures: [(address: Multiaddr, reason: String)])
