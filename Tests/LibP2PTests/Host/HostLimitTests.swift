import Glibc
import Multiformats
import NIOCore
import NIOSSL
import Synchronization
import Testing

@testable import LibP2P

/// A dial of the first address of a host.
private func dial(_ host: Host, from other: Host) async throws -> Connection {
    try await other.dial(try #require(host.listenAddresses.first), expecting: host.peerID)
}

/// Suspends handlers until it is opened.
private final class Gate: Sendable {
    private let isOpen = Atomic(false)

    func open() { isOpen.store(true, ordering: .relaxed) }

    func wait() async {
        while !isOpen.load(ordering: .relaxed) { try? await Task.sleep(for: .milliseconds(10)) }
    }
}

extension LoopbackTests {
    /// The behaviour at each limit, and its counters.
    @Suite struct HostLimitTests {
        /// The first bytes of a client that continues with a byte at a time.
        private static let beginnings: [(security: SecurityProtocol?, bytes: [UInt8])] = [
            (nil, []), (.tls, [0x16, 3, 1, 0x20, 0]), (.noise, [0x1F, 0xFF]),
        ]

        @Test(arguments: 0..<3)
        func slowHandshakeEndsAtDeadline(index: Int) async throws {
            let (security, bytes) = Self.beginnings[index]
            try await withHosts(1, configure: { $0.acceptTimeout = .milliseconds(400) }) { hosts in
                let channel = try await connectPlainly(to: hosts[0].port)
                var begin = ByteBuffer()
                if let security {
                    Multistream.write(Multistream.header, to: &begin)
                    Multistream.write(security.protocolID, to: &begin)
                }
                begin.writeBytes(bytes)
                if begin.readableBytes > 0 { try await channel.writeAndFlush(begin) }
                // A length that announces more, then single bytes.
                var next: UInt8 = 0x7F
                let deadline = ContinuousClock.now + .seconds(20)
                while channel.isActive, ContinuousClock.now < deadline {
                    do { try await channel.writeAndFlush(ByteBuffer(integer: next)) } catch { break }
                    next = 1
                    try await Task.sleep(for: .milliseconds(20))
                }
                try await channel.closeFuture.get()
                try await eventually { hosts[0].statistics.handshakesFailed[.timeout] == 1 }
                #expect(hosts[0].state.withLock { $0.table.pendingInboundCount } == 0)
            }
        }

        @Test func acceptsAgainAfterDescriptorsRanOut() async throws {
            try await withHosts(1) { hosts in
                // The runtime opens descriptors for its timers on the first sleep, and needs them.
                try await Task.sleep(for: .milliseconds(1))
                var limit = rlimit()
                #expect(getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
                let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
                #expect(client >= 0)
                var lowered = limit
                lowered.rlim_cur = min(limit.rlim_cur, 256 + UInt(client))
                #expect(setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &lowered) == 0)
                var fillers: [Int32] = []
                while case let filler = dup(client), filler >= 0 { fillers.append(filler) }
                var address = sockaddr_in()
                address.sin_family = sa_family_t(AF_INET)
                address.sin_port = in_port_t(hosts[0].port).bigEndian
                address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
                let result = withUnsafePointer(to: &address) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        connect(client, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                    }
                }
                #expect(result == 0)
                try await eventually { hosts[0].statistics.acceptFailures > 0 }
                try await Task.sleep(for: .milliseconds(300))
                // It paused between the attempts instead of spinning.
                #expect(hosts[0].statistics.acceptFailures < 20)
                for filler in fillers { close(filler) }
                #expect(setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
                // The waiting connection is accepted, and another one, too.
                try await eventually { hosts[0].state.withLock { $0.table.pendingInboundCount } == 1 }
                let other = try await connectPlainly(to: hosts[0].port)
                try await eventually { hosts[0].state.withLock { $0.table.pendingInboundCount } == 2 }
                try await other.close()
                close(client)
            }
        }

        @Test func limitsConnectionsToOnePeer() async throws {
            try await withHosts(2, configure: { $0.maxConnectionsPerPeer = 2 }) { hosts in
                for _ in 0..<2 { _ = try await dial(hosts[0], from: hosts[1]) }
                await #expect(throws: (any Error).self) { try await dial(hosts[0], from: hosts[1]) }
                #expect(hosts[0].connections(with: hosts[1].peerID).count == 2)
                #expect(hosts[1].statistics.handshakesFailed[.limit] == 1)
                #expect(hosts[1].statistics.outboundConnectionsOpened == 2)
            }
        }

        @Test func limitsAllConnections() async throws {
            try await withHosts(3, configure: { $0.maxConnections = 1 }) { hosts in
                _ = try await dial(hosts[0], from: hosts[1])
                try await eventually { hosts[0].isConnected(to: hosts[1].peerID) }
                await #expect(throws: (any Error).self) { try await dial(hosts[0], from: hosts[2]) }
                #expect(hosts[0].statistics.connectionsRefused == 1)
                await #expect(throws: HostError.self) { try await dial(hosts[2], from: hosts[0]) }
                #expect(hosts[0].connectedPeers == [hosts[1].peerID])
            }
        }

        @Test func trimsUnusedConnectionsAtHighWaterMark() async throws {
            try await withHosts(5, configure: { $0.connectionHighWaterMark = 2 }) { hosts in
                let target = hosts[0]
                target.setHandler(for: "/echo", echo)
                let stream = try await hosts[1].openStream(to: target.info, protocols: ["/echo"])
                for host in hosts[2...] {
                    try await host.connect(to: target.info)
                    try await eventually {
                        target.isConnected(to: host.peerID) && host.identifyInfo(of: target.peerID) != nil
                            && target.identifyInfo(of: host.peerID) != nil
                            && target.state.withLock {
                                $0.table.connections[host.peerID]?.allSatisfy { !$0.activity.use.isInUse } ?? true
                            }
                    }
                }
                try await eventually { target.connectedPeers.count == 2 }
                // The one in use and the newest remain.
                #expect(Set(target.connectedPeers) == [hosts[1].peerID, hosts[4].peerID])
                #expect(target.statistics.connectionsTrimmed == 2)
                try await stream.write(ByteBuffer(string: "still there"))
                #expect(try await stream.read(upTo: 100) == ByteBuffer(string: "still there"))
                stream.close()
            }
        }

        @Test func limitsStreamsOfAllPeers() async throws {
            try await withHosts(3, configure: { $0.maxInboundStreams = 2 }) { hosts in
                let target = hosts[0]
                target.setHandler(for: "/echo", echo)
                for host in hosts[1...] {
                    try await host.connect(to: target.info)
                    try await eventually {
                        host.identifyInfo(of: target.peerID) != nil && target.identifyInfo(of: host.peerID) != nil
                    }
                }
                try await eventually { target.resources.inboundStreams == 0 }
                let first = try await hosts[1].openStream(to: target.info, protocols: ["/echo"])
                let second = try await hosts[2].openStream(to: target.info, protocols: ["/echo"])
                #expect(target.resources.inboundStreams == 2)
                await #expect(throws: (any Error).self) {
                    try await hosts[2].openStream(to: target.info, protocols: ["/echo"])
                }
                #expect(target.statistics.streamsRefused == 1)
                first.reset()
                try await eventually { target.resources.inboundStreams == 1 }
                let third = try await hosts[2].openStream(to: target.info, protocols: ["/echo"])
                for stream in [second, third] { stream.reset() }
                try await eventually { target.resources.inboundStreams == 0 }
            }
        }

        @Test(arguments: [true, false])
        func limitsUnreadBytes(perConnection: Bool) async throws {
            let configure: (inout HostConfiguration) -> Void = {
                if perConnection {
                    $0.maxUnreadBytesPerConnection = 100_000
                } else {
                    $0.maxBufferedBytes = 100_000
                }
            }
            try await withHosts(1, configure: configure) { targets in
                try await withHosts(1) { peers in
                    let (target, peer) = (targets[0], peers[0])
                    let gate = Gate()
                    target.setHandler(for: "/sink") { _ in await gate.wait() }
                    defer { gate.open() }
                    let stream = try await peer.openStream(to: target.info, protocols: ["/sink"])
                    await #expect(throws: StreamError.self) {
                        for _ in 0..<100 {
                            try await stream.write(ByteBuffer(repeating: 0, count: 10_000))
                            try await Task.sleep(for: .milliseconds(5))
                        }
                    }
                    #expect(target.statistics.streamsOverMemory == 1)
                    // The connection stays open, and the reset stream's bytes are free again.
                    #expect(try await peer.ping(target.info) > .zero)
                    try await eventually { target.resources.bufferedBytes == 0 }
                }
            }
        }

        @Test func limitsUnsentBytesOfConnection() async throws {
            try await withHosts(2, configure: { $0.maxQueuedBytesPerConnection = 100_000 }) { hosts in
                let (a, b) = (hosts[0], hosts[1])
                let gate = Gate()
                b.setHandler(for: "/sink") { _ in await gate.wait() }
                defer { gate.open() }
                let first = try await a.openStream(to: b.info, protocols: ["/sink"])
                let second = try await a.openStream(to: b.info, protocols: ["/sink"])
                // The window of each stream fills up, then its queue, up to the limit of all.
                let bytes = ByteBuffer(repeating: 0, count: 256 * 1024 + 60_000)
                try await first.write(bytes)
                await #expect(throws: StreamError.timeout(.milliseconds(500))) {
                    try await second.write(bytes, timeout: .milliseconds(500))
                }
                let connection = try #require(a.state.withLock { $0.table.connections[b.peerID]?.first })
                let channel = connection.channel
                let queued = try await channel.eventLoop.submit {
                    try channel.pipeline.syncOperations.handler(type: YamuxHandler.self).session.queuedBytes
                }.get()
                #expect(queued <= 100_000)
                first.reset()
                try await eventually { a.resources.bufferedBytes == 0 }
            }
        }

        @Test(arguments: [
            [UInt8](repeating: 0x0A, count: IdentifyInfo.maxMessageLength + 1), [0xFF, 0xFF, 0xFF],
        ])
        func malformedIdentifyEndsConnection(message: [UInt8]) async throws {
            try await withHosts(2) { hosts in
                let (a, b) = (hosts[0], hosts[1])
                b.setHandler(for: IdentifyInfo.protocolID) { stream in
                    try? await stream.writeMessage(ByteBuffer(bytes: message))
                    stream.close()
                }
                try await a.connect(to: b.info)
                try await eventually { a.statistics.peersDropped[.malformedIdentify] == 1 }
                try await eventually { a.connectedPeers.isEmpty && b.connectedPeers.isEmpty }
            }
        }

        /// Writes a hundred bytes like a handler of the pipeline.
        private func write(
            _ byte: UInt8,
            on channel: any Channel,
            as find: @escaping @Sendable (ChannelPipeline.SynchronousOperations) throws -> ChannelHandlerContext
        ) async throws {
            try await channel.eventLoop.submit {
                try find(channel.pipeline.syncOperations)
                    .writeAndFlush(NIOAny(ByteBuffer(repeating: byte, count: 100)), promise: nil)
            }.get()
        }

        @Test(arguments: SecurityProtocol.open)
        func brokenFramesEndConnection(security: SecurityProtocol) async throws {
            try await withHosts(2, configure: { $0.securities = [security] }) { hosts in
                let (a, b) = (hosts[0], hosts[1])
                // Garbage inside the secured connection.
                var connection = try await dial(b, from: a)
                try await eventually { b.isConnected(to: a.peerID) }
                try await write(9, on: connection.channel) { try $0.context(handlerType: YamuxHandler.self) }
                try await eventually { b.statistics.peersDropped[.protocolViolation] == 1 }
                try await eventually { a.connectedPeers.isEmpty && b.connectedPeers.isEmpty }
                // Garbage in place of it.
                connection = try await dial(b, from: a)
                try await eventually { b.isConnected(to: a.peerID) }
                switch security {
                case .tls:
                    try await write(0, on: connection.channel) { try $0.context(handlerType: NIOSSLClientHandler.self) }
                case .noise, .cluster:
                    try await write(0, on: connection.channel) { try $0.context(handlerType: NoiseHandler.self) }
                }
                try await eventually { b.statistics.peersDropped[.brokenSecurity] == 1 }
                try await eventually { b.connectedPeers.isEmpty }
            }
        }

        @Test func countsFailedHandshakesByReason() async throws {
            try await withHosts(2) { hosts in
                let (a, b) = (hosts[0], hosts[1])
                let other = PeerInfo(id: KeyPair().peerID, addresses: b.listenAddresses)
                await #expect(throws: HostError.self) { try await a.connect(to: other) }
                #expect(a.statistics.handshakesFailed == [.unexpectedPeer: 1])
                #expect(a.statistics.dialsStarted == 1 && a.statistics.dialsFailed == 1)
                #expect(a.statistics.dialErrors == [DialError(reason: .other, ipVersion: .ip4): 1])
                let address = try #require(b.listenAddresses.first)
                await #expect(throws: HostError.self) { try await b.connect(to: address) }
                #expect(b.statistics.handshakesFailed[.selfDial] ?? 0 >= 1)
                let channel = try await connectPlainly(to: b.port)
                try await channel.writeAndFlush(ByteBuffer(string: "\u{5}what\n"))
                try await channel.closeFuture.get()
                try await eventually { b.statistics.handshakesFailed[.negotiation] == 1 }
                let short = try await connectPlainly(to: b.port)
                try await eventually { b.state.withLock { $0.table.pendingInboundCount } == 1 }
                try await short.close()
                try await eventually { b.statistics.handshakesFailed[.closed] ?? 0 >= 1 }
            }
        }

        @Test func doesNotDialAddressInBackoff() async throws {
            try await withHosts(1) { hosts in
                let address = try Multiaddr("/ip4/127.0.0.1/tcp/1")
                let peer = PeerInfo(id: KeyPair().peerID, addresses: [address])
                await #expect(throws: HostError.self) { try await hosts[0].connect(to: peer) }
                for _ in 0..<3 {
                    await #expect(throws: (any Error).self) { try await hosts[0].connect(to: address) }
                }
                let started = hosts[0].statistics.dialsStarted
                #expect(started == 4)
                let refused = DialError(reason: .connectionRefused, ipVersion: .ip4)
                #expect(hosts[0].statistics.dialErrors == [refused: 4])
                let error = await #expect(throws: HostError.self) { try await hosts[0].connect(to: peer) }
                #expect("\(error.map(String.init(describing:)) ?? "")".contains("in backoff after a failure"))
                #expect(hosts[0].statistics.dialsStarted == started && hosts[0].statistics.dialsHeldBack == 1)
            }
        }

        @Test func reportsOpenedAndClosedConnectionsAndRoundTrips() async throws {
            try await withHosts(3) { hosts in
                let (a, b, c) = (hosts[0], hosts[1], hosts[2])
                try await b.connect(to: a.info)
                try await c.connect(to: a.info)
                try await eventually { a.observedAddresses.reduce(0) { $0 + $1.peers } == 2 }
                // Both dialled the listen address, so they see this host there.
                #expect(a.observedAddresses.map(\.address) == a.listenAddresses)
                try await eventually {
                    a.connections(with: b.peerID).first?.roundTripTime ?? .zero > .zero
                        && b.connections(with: a.peerID).first?.roundTripTime ?? .zero > .zero
                }
                b.disconnect(from: a.peerID)
                try await eventually { a.statistics.inboundConnectionsClosed == 1 }
                try await eventually { b.statistics.outboundConnectionsClosed == 1 }
                #expect(a.statistics.inboundConnectionsOpened == 2 && a.statistics.outboundConnectionsOpened == 0)
                #expect(b.statistics.outboundConnectionsOpened == 1 && b.statistics.outboundStreamsOpened >= 1)
                #expect(a.statistics.inboundStreamsOpened >= 2 && a.statistics.peersDropped.isEmpty)
                let kind = ConnectionKind(
                    isInbound: true,
                    security: "/tls/1.0.0",
                    muxer: "/yamux/1.0.0",
                    hasEarlyMuxer: true,
                    ipVersion: .ip4
                )
                #expect(a.statistics.connectionsOpened == [kind: 2])
                try await eventually {
                    a.statistics.identifySent == 2 && a.statistics.identifyReceived == 2
                        && b.statistics.identifyReceived == 1
                }
                #expect(a.pendingConnections == (0, 0))
            }
        }
    }
}
