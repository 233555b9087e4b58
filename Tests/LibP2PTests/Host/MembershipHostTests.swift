import Membership
import Multiformats
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import LibP2P

extension LoopbackTests {
    @Suite struct MembershipHostTests {
        private static func keys(_ bytes: UInt8...) throws -> ClusterKeys {
            try #require(ClusterKeys(bytes.compactMap { ClusterKey(secret: [UInt8](repeating: $0, count: 32)) }))
        }

        private func withPair(
            _ dialer: ClusterKeys?,
            _ listener: ClusterKeys?,
            _ body: (Host, Host) async throws -> Void
        ) async throws {
            try await withHosts(1, configure: { $0.membership = dialer.map(KeyRing.init) }) { dialers in
                try await withHosts(1, configure: { $0.membership = listener.map(KeyRing.init) }) { listeners in
                    try await body(dialers[0], listeners[0])
                }
            }
        }

        @Test func membersSpeakWithEachOther() async throws {
            try await withPair(Self.keys(1), Self.keys(2, 1)) { dialer, listener in
                #expect(try await dialer.ping(listener.info) > .zero)
                let info = try #require(dialer.connections(with: listener.peerID).first)
                #expect(info.security == "/spegel/noise-xxpsk0/1.0.0" && info.hasEarlyMuxer)
            }
        }

        @Test(arguments: [[1, 2], [1, 0], [0, 1]] as [[UInt8]])
        func outsidersHaveNoConnection(ends: [UInt8]) async throws {
            let keys = try ends.map { $0 == 0 ? nil : try Self.keys($0) }
            try await withPair(keys[0], keys[1]) { dialer, listener in
                await #expect(throws: HostError.self) { try await dialer.connect(to: listener.info) }
                try await eventually { listener.state.withLock { $0.table.pendingInboundCount } == 0 }
                #expect(listener.connectedPeers.isEmpty && dialer.connectedPeers.isEmpty)
                #expect(listener.statistics.inboundStreamsOpened == 0)
                // The end with a key counts it. The dialer with another key only sees that the listener hangs up.
                let counting = ends[1] == 0 ? dialer : listener
                try await eventually { counting.statistics.handshakesFailed[.membership] == 1 }
            }
        }

        @Test func closesConnectionsOfRemovedKeys() async throws {
            try await withPair(Self.keys(1), Self.keys(1, 2)) { dialer, listener in
                _ = try await dialer.ping(listener.info)
                let ring = try #require(listener.configuration.membership)
                #expect(ring.change(to: try Self.keys(2, 1)))
                await listener.closeFormerMembers()
                #expect(dialer.isConnected(to: listener.peerID), "the key is still accepted")
                #expect(ring.change(to: try Self.keys(2)))
                await listener.closeFormerMembers()
                try await eventually { listener.connectedPeers.isEmpty && dialer.connectedPeers.isEmpty }
            }
        }
    }
}
