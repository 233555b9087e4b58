import Logging
import Multiformats
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import LibP2P

/// The tests over real sockets. They run in turn, so that descriptors can be counted.
@Suite(.timeLimit(.minutes(2)), .serialized) enum LoopbackTests {}

extension LoopbackTests {
    @Suite struct HostTests {
        @Test func hostsConnectIdentifyAndPing() async throws {
            try await withHosts(2) { hosts in
                let (a, b) = (hosts[0], hosts[1])
                b.setHandler(for: "/test/1.0.0", echo)
                var events = a.events.makeAsyncIterator()
                try await a.connect(to: b.info)
                #expect(await events.next() == .connected(b.peerID))
                guard case .identified(b.peerID, let info) = await events.next() else {
                    Issue.record("expected the peer to identify itself")
                    return
                }
                #expect(info.agentVersion == "test/1" && info.protocolVersion == "ipfs/0.1.0")
                #expect(
                    Set(info.protocols) == ["/test/1.0.0", "/ipfs/ping/1.0.0", "/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0"]
                )
                #expect(info.listenAddresses == b.listenAddresses)
                #expect(info.publicKey == b.keyPair.publicKey.protobuf)
                let loopback = try IPAddress("127.0.0.1")
                #expect(info.observedAddress?.ipAddress == loopback)
                // Both sides ask.
                try await eventually { b.identifyInfo(of: a.peerID) != nil }
                for _ in 0..<3 { #expect(try await a.ping(b.info) > .zero) }
                #expect(b.connectedPeers == [a.peerID] && a.connectedPeers == [b.peerID])
                b.disconnect(from: a.peerID)
                while let event = await events.next(), event != .disconnected(b.peerID) {}
                try await eventually { a.connectedPeers.isEmpty && b.connectedPeers.isEmpty }
            }
        }

        @Test func cancelledSubscriberDoesNotBlockEvents() async throws {
            try await withHosts(1) { hosts in
                let host = hosts[0]
                await withTaskGroup { group in
                    group.addTask {
                        for _ in 0..<20_000 { host.state.withLock { $0.publish(.connected(host.peerID)) } }
                    }
                    for _ in 0..<4 {
                        group.addTask {
                            for _ in 0..<500 {
                                let task = Task { for await _ in host.events {} }
                                await Task.yield()
                                task.cancel()
                                await task.value
                            }
                        }
                    }
                }
                // The next event removes ended subscriptions.
                let left = host.state.withLock { state in
                    state.publish(.connected(host.peerID))
                    return state.subscribers.count
                }
                #expect(left == 0)
            }
        }

        @Test func pushesNewProtocols() async throws {
            try await withHosts(2) { hosts in
                let (a, b) = (hosts[0], hosts[1])
                try await a.connect(to: b.info)
                try await eventually {
                    a.identifyInfo(of: b.peerID) != nil && b.identifyInfo(of: a.peerID) != nil
                }
                b.setHandler(for: "/late/1.0.0", echo)
                try await eventually { a.identifyInfo(of: b.peerID)?.protocols.contains("/late/1.0.0") == true }
            }
        }

        @Test func addressWithoutIDYieldsPeer() async throws {
            try await withHosts(2) { hosts in
                let address = try #require(hosts[1].listenAddresses.first)
                #expect(try await hosts[0].connect(to: address) == hosts[1].peerID)
                #expect(hosts[0].isConnected(to: hosts[1].peerID))
            }
        }

        @Test func errorNamesUnexpectedPeer() async throws {
            try await withHosts(2) { hosts in
                let (a, b) = (hosts[0], hosts[1])
                let other = KeyPair().peerID
                let error = await #expect(throws: HostError.self) {
                    try await a.connect(to: PeerInfo(id: other, addresses: b.listenAddresses))
                }
                #expect(
                    "\(error.map(String.init(describing:)) ?? "")".contains("expected peer \(other), found \(b.peerID)")
                )
                #expect(a.connectedPeers.isEmpty)
                try await eventually { b.connectedPeers.isEmpty }
            }
        }

        @Test func rejectsSelfDial() async throws {
            try await withHosts(1) { hosts in
                let address = try #require(hosts[0].listenAddresses.first)
                await #expect(throws: HostError.self) { try await hosts[0].connect(to: address) }
                await #expect(throws: HostError.self) { try await hosts[0].connect(to: hosts[0].info) }
                try await eventually { hosts[0].connectedPeers.isEmpty }
            }
        }

        @Test func dialOfUnreachablePeerFails() async throws {
            try await withHosts(1) { hosts in
                let peer = PeerInfo(id: KeyPair().peerID, addresses: [try Multiaddr("/ip4/127.0.0.1/tcp/1")])
                let error = await #expect(throws: HostError.self) { try await hosts[0].connect(to: peer) }
                #expect("\(error.map(String.init(describing:)) ?? "")".contains("connection refused"))
                await #expect(throws: HostError.self) {
                    try await hosts[0].connect(to: PeerInfo(id: peer.id, addresses: []))
                }
            }
        }

        @Test func concurrentDialsShareOneConnection() async throws {
            try await withHosts(2) { hosts in
                let (a, b) = (hosts[0], hosts[1])
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<20 { group.addTask { try await a.connect(to: b.info) } }
                    try await group.waitForAll()
                }
                #expect(a.remoteAddresses(of: b.peerID).count == 1)
            }
        }

        @Test func simultaneousDialsOfBothSidesKeepUsableConnection() async throws {
            try await withHosts(2) { hosts in
                let (a, b) = (hosts[0], hosts[1])
                for host in hosts { host.setHandler(for: "/echo", echo) }
                async let first: Void = a.connect(to: b.info)
                async let second: Void = b.connect(to: a.info)
                _ = try await (first, second)
                #expect(try await a.ping(b.info) > .zero)
                #expect(try await b.ping(a.info) > .zero)
            }
        }

        @Test func listeningOnBoundPortFails() async throws {
            try await withHosts(1) { hosts in
                var configuration = hosts[0].configuration
                configuration.listenAddresses = hosts[0].listenAddresses
                let other = Host(
                    configuration: configuration,
                    keyPair: KeyPair(),
                    group: hosts[0].group,
                    logger: hosts[0].logger
                )
                let error = await #expect(throws: HostError.self) { try await other.start() }
                #expect("\(error.map(String.init(describing:)) ?? "")".contains("in use"))
                await other.shutdown()
            }
        }

        @Test func openingStreamOfUnsupportedProtocolFails() async throws {
            try await withHosts(2) { hosts in
                await #expect(throws: MultistreamError.noneSupported(["/no", "/neither"])) {
                    try await hosts[0].openStream(to: hosts[1].info, protocols: ["/no", "/neither"])
                }
            }
        }

        @Test func closesSilentClientAtDeadline() async throws {
            try await withHosts(1, configure: { $0.acceptTimeout = .milliseconds(200) }) { hosts in
                let channel = try await connectPlainly(to: hosts[0].port)
                try await channel.closeFuture.get()
                try await eventually { hosts[0].state.withLock { $0.table.pendingInboundCount } == 0 }
            }
        }

        @Test func limitsPendingHandshakes() async throws {
            try await withHosts(1, configure: { $0.maxPendingInboundConnections = 2 }) { hosts in
                let first = try await connectPlainly(to: hosts[0].port)
                let second = try await connectPlainly(to: hosts[0].port)
                try await eventually { hosts[0].state.withLock { $0.table.pendingInboundCount } == 2 }
                let third = try await connectPlainly(to: hosts[0].port)
                try await third.closeFuture.get()
                #expect(first.isActive && second.isActive)
                try await first.close()
                try await second.close()
            }
        }

        @Test func listenerSurvivesRandomBytes() async throws {
            let seed: UInt64 = 0x5EED
            try await withHosts(2) { hosts in
                let target = hosts[0]
                let before = try openDescriptors()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for index in 0..<100 {
                        group.addTask {
                            var generator = SeededGenerator(seed: seed &+ UInt64(index))
                            var bytes = ByteBuffer()
                            if index % 2 == 0 {
                                Multistream.write(Multistream.header, to: &bytes)
                                Multistream.write("/noise", to: &bytes)
                            }
                            for _ in 0..<Int.random(in: 1...3000, using: &generator) {
                                bytes.writeInteger(UInt8.random(in: 0...255, using: &generator))
                            }
                            let channel = try await connectPlainly(to: target.port)
                            try? await channel.writeAndFlush(bytes)
                            try? await channel.close()
                        }
                    }
                    try await group.waitForAll()
                }
                try await eventually { target.state.withLock { $0.table.pendingInboundCount } == 0 }
                #expect(target.connectedPeers.isEmpty, "seed \(seed)")
                try await eventually { (try? openDescriptors()) == before }
                #expect(try await hosts[1].ping(target.info) > .zero)
            }
        }

        @Test func detectsDeadPeers() async throws {
            let configure: (inout HostConfiguration) -> Void = {
                $0.keepAliveInterval = .milliseconds(100)
                $0.keepAliveTimeout = .milliseconds(200)
                $0.idleTimeout = .milliseconds(300)
            }
            try await withHosts(2, configure: configure) { hosts in
                let (a, b) = (hosts[0], hosts[1])
                b.setHandler(for: "/echo", echo)
                let stream = try await a.openStream(to: b.info, protocols: ["/echo"])
                // Pings keep a connection with a silent stream alive beyond all time-outs.
                try await Task.sleep(for: .milliseconds(800))
                #expect(a.isConnected(to: b.peerID))
                // The channel below stops reading, as if the peer had vanished.
                let connection = try #require(b.state.withLock { $0.table.connections[a.peerID]?.first })
                try await connection.channel.setOption(.autoRead, value: false).get()
                try await eventually { !a.isConnected(to: b.peerID) }
                await #expect(throws: StreamError.self) { try await stream.read(upTo: 1) }
            }
        }

        @Test func shutdownReleasesEverything() async throws {
            try await withHosts(1) { hosts in
                let before = try openDescriptors()
                try await withHosts(3) { others in
                    for other in others {
                        other.setHandler(for: "/echo", echo)
                        _ = try await hosts[0].openStream(to: other.info, protocols: ["/echo"])
                        _ = try await other.openStream(
                            to: others[0] === other ? hosts[0].info : others[0].info,
                            protocols: ["/ipfs/ping/1.0.0"]
                        )
                    }
                    let silent = try await connectPlainly(to: others[0].port)
                    await others[0].shutdown()
                    try await silent.closeFuture.get()
                    await #expect(throws: HostError.self) { try await others[0].connect(to: others[1].info) }
                }
                try await eventually { (try? openDescriptors()) == before }
            }
        }

        @Test func closesIdleConnections() async throws {
            let configure: (inout HostConfiguration) -> Void = {
                $0.keepAliveInterval = .milliseconds(50)
                $0.idleTimeout = .milliseconds(100)
            }
            try await withHosts(2, configure: configure) { hosts in
                try await hosts[0].connect(to: hosts[1].info)
                try await eventually { hosts.allSatisfy { $0.connectedPeers.isEmpty } }
            }
        }

        @Test func hostIsReleasedAfterShutdown() async throws {
            weak var ended: Host?
            try await withHosts(2) { hosts in
                let host = hosts[0]
                ended = host
                // As in a DHT that answers on the host and dials through it.
                host.setHandler(for: "/test/1.0.0") { _ in _ = host.peerID }
                try await hosts[1].connect(to: host.info)
            }
            for _ in 0..<1000 where ended != nil { try await Task.sleep(for: .milliseconds(10)) }
            #expect(ended == nil)
        }

        @Test func unspecifiedAddressExpandsToInterfaces() throws {
            let interfaces = try ["127.0.0.1", "10.0.0.7", "::1", "fe80::1", "2001:db8::7"].map { try IPAddress($0) }
            let bound = try [Multiaddr("/ip4/0.0.0.0/tcp/5001"), Multiaddr("/ip6/::/tcp/5001")]
            #expect(
                Multiaddr.reachable(bound: bound, interfaces: interfaces).map(\.description)
                    == ["/ip4/10.0.0.7/tcp/5001", "/ip6/2001:db8::7/tcp/5001"]
            )
            #expect(
                Multiaddr.reachable(bound: bound, interfaces: [interfaces[0]]).map(\.description)
                    == ["/ip4/127.0.0.1/tcp/5001"]
            )
        }
    }
}
