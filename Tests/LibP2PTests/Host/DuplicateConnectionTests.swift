import Multiformats
import NIOCore
import Testing

@testable import LibP2P

extension LoopbackTests {
    /// Nodes that dial each other at the same time.
    @Suite(.serialized, .timeLimit(.minutes(1))) struct DuplicateConnectionTests {
        /// Makes both hosts dial, so that there are two connections.
        private func connectBothWays(_ a: Host, _ b: Host) async throws {
            // By address, a host dials whatever connections there are.
            async let one = a.connect(to: b.listenAddresses[0])
            async let other = b.connect(to: a.listenAddresses[0])
            _ = try await (one, other)
            try await eventually {
                a.connections(with: b.peerID).count == 2 && b.connections(with: a.peerID).count == 2
            }
        }

        @Test func bothSidesKeepTheSameConnection() async throws {
            try await withHosts(2, configure: { $0.duplicateTime = .milliseconds(200) }) { hosts in
                let (a, b) = (hosts[0], hosts[1])
                try await connectBothWays(a, b)
                try await eventually {
                    a.connections(with: b.peerID).count == 1 && b.connections(with: a.peerID).count == 1
                }
                try await Task.sleep(for: .milliseconds(500))
                let (one, other) = (a.connections(with: b.peerID), b.connections(with: a.peerID))
                try #require(one.count == 1 && other.count == 1)
                #expect(one[0].isInbound != other[0].isInbound)
                let smallerIsA = a.peerID.bytes.lexicographicallyPrecedes(b.peerID.bytes)
                #expect(one[0].isInbound != smallerIsA)
                // Streams still open.
                b.setHandler(for: "/echo", echo)
                let stream = try await a.openStream(to: b.info, protocols: ["/echo"])
                stream.close()
            }
        }

        @Test func connectionWithAStreamStaysUntilItEnds() async throws {
            try await withHosts(2, configure: { $0.duplicateTime = .milliseconds(200) }) { hosts in
                let (a, b) = (hosts[0], hosts[1])
                for host in hosts { host.setHandler(for: "/echo", echo) }
                // The larger id dials first, and uses its connection.
                let (larger, smaller) =
                    a.peerID.bytes.lexicographicallyPrecedes(b.peerID.bytes) ? (b, a) : (a, b)
                _ = try await larger.connect(to: smaller.listenAddresses[0])
                let stream = try await larger.openStream(to: smaller.info, protocols: ["/echo"])
                _ = try await smaller.connect(to: larger.listenAddresses[0])
                try await Task.sleep(for: .milliseconds(800))
                #expect(larger.connections(with: smaller.peerID).count == 2)
                stream.close()
                try await eventually { larger.connections(with: smaller.peerID).count == 1 }
                #expect(larger.connections(with: smaller.peerID).first?.isInbound == true)
            }
        }

        @Test func eachPairOfNodesAgrees() throws {
            for _ in 0..<50 {
                let (one, other) = (KeyPair().peerID, KeyPair().peerID)
                for isInbound in [false, true] {
                    // The same connection is inbound at one end and outbound at the other.
                    let here = DuplicateConnections.givesWay(isInbound: isInbound, own: one, remote: other)
                    let there = DuplicateConnections.givesWay(isInbound: !isInbound, own: other, remote: one)
                    #expect(here == there)
                }
                let inbound = DuplicateConnections.givesWay(isInbound: true, own: one, remote: other)
                let outbound = DuplicateConnections.givesWay(isInbound: false, own: one, remote: other)
                #expect(inbound != outbound)
            }
        }
    }
}
