import Glibc
import Logging
import Multiformats
import NIOCore
import NIOPosix
import Testing

@testable import LibP2P

/// With another implementation at the other end, when the environment names one: see Tests/Interoperation.
@Suite(.timeLimit(.minutes(1))) struct InteroperationTests {
    private static func environment(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }

    private func withHost(port: UInt16, _ body: (Host) async throws -> Void) async throws {
        let configuration = HostConfiguration(
            listenAddresses: [try Multiaddr("/ip4/127.0.0.1/tcp/\(port)")],
            agentVersion: "interoperation/1"
        )
        var logger = Logger(label: "interoperation")
        logger.logLevel = .debug
        let host = Host(
            configuration: configuration,
            keyPair: try KeyPair(seed: [UInt8](repeating: 7, count: 32)),
            group: MultiThreadedEventLoopGroup.singleton,
            logger: logger
        )
        do {
            try await host.start()
            try await body(host)
        } catch {
            await host.shutdown()
            throw error
        }
        await host.shutdown()
    }

    private func check(_ peer: PeerID, _ host: Host) async throws {
        try await eventually { host.identifyInfo(of: peer) != nil }
        let info = try #require(host.identifyInfo(of: peer))
        print("identified \(peer): \(info)")
        #expect(info.protocols.contains(Ping.protocolID))
        for _ in 0..<5 { print("ping", try await host.ping(PeerInfo(id: peer, addresses: []))) }
        await #expect(throws: MultistreamError.noneSupported(["/no/such/protocol"])) {
            try await host.openStream(to: PeerInfo(id: peer, addresses: []), protocols: ["/no/such/protocol"])
        }
    }

    /// Dials the peer whose address, with its id, is given.
    @Test(.enabled(if: environment("INTEROPERATION_PEER") != nil)) func dials() async throws {
        let address = try Multiaddr(Self.environment("INTEROPERATION_PEER") ?? "")
        try await withHost(port: 0) { host in
            try await check(try await host.connect(to: address), host)
            // And without knowing the id.
            #expect(try await host.connect(to: address.withoutPeerID) == address.peerID)
        }
    }

    /// Waits on the given port for the other implementation to dial.
    @Test(.enabled(if: environment("INTEROPERATION_PORT") != nil)) func listens() async throws {
        let port = UInt16(Self.environment("INTEROPERATION_PORT") ?? "") ?? 0
        try await withHost(port: port) { host in
            print("waiting for a dial of /ip4/127.0.0.1/tcp/\(port)/p2p/\(host.peerID)")
            fflush(nil)
            try await eventually { !host.connectedPeers.isEmpty }
            try await check(try #require(host.connectedPeers.first), host)
        }
    }
}
