import Multiformats
import NIOCore
import NIOEmbedded
import Testing
import Time

@testable import LibP2P

@Suite struct ConnectionTableTests {
    private func at(_ seconds: Int64) -> MonotonicTime { .zero + .seconds(seconds) }

    @Test func trimsLongestUnusedFirst() {
        let connections = [
            (isInUse: true, lastUse: at(1)), (isInUse: false, lastUse: at(5)), (isInUse: false, lastUse: at(3)),
            (isInUse: false, lastUse: at(4)),
        ]
        #expect(ConnectionTrimming.excess(connections, limit: 4) == [])
        #expect(ConnectionTrimming.excess(connections, limit: 3) == [2])
        #expect(ConnectionTrimming.excess(connections, limit: 2) == [2, 3])
        // Connections in use stay at any limit.
        #expect(ConnectionTrimming.excess(connections, limit: 0) == [2, 3, 1])
        #expect(ConnectionTrimming.excess([(isInUse: true, lastUse: at(1))], limit: 0) == [])
    }

    private func table(pending: Int, perAddress: Int) -> ConnectionTable {
        var configuration = HostConfiguration(listenAddresses: [], agentVersion: "test/1")
        configuration.maxPendingInboundConnections = pending
        configuration.maxPendingInboundPerAddress = perAddress
        return ConnectionTable(settings: configuration)
    }

    @Test func oneMachineCannotOccupyAllHandshakes() throws {
        var table = table(pending: 10, perAddress: 2)
        let (one, other) = (try IPAddress("198.51.100.1"), try IPAddress("198.51.100.2"))
        let channels = (0..<4).map { _ in EmbeddedChannel() }
        #expect(table.beginInbound(channels[0], from: one) == true)
        #expect(table.beginInbound(channels[1], from: one) == true)
        #expect(table.beginInbound(channels[2], from: one) == false)
        #expect(table.beginInbound(channels[3], from: other) == true)
        table.endInbound(channels[0])
        table.endInbound(channels[0])
        #expect(table.beginInbound(channels[2], from: one) == true)
        #expect(table.beginInbound(channels[0], from: one) == false)
        #expect(table.pendingInboundCount == 3)
    }

    @Test func loopbackHasOnlyTheTotalLimit() throws {
        var table = table(pending: 3, perAddress: 1)
        let loopback = try IPAddress("127.0.0.1")
        for _ in 0..<3 { #expect(table.beginInbound(EmbeddedChannel(), from: loopback) == true) }
        #expect(table.beginInbound(EmbeddedChannel(), from: loopback) == false)
    }

    @Test(arguments: [
        ("198.51.100.1", "198.51.100.1"), ("::ffff:198.51.100.1", "198.51.100.1"), ("127.0.0.9", nil), ("::1", nil),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"), ("10.0.0.1", "10.0.0.1"),
    ])
    func networks(address: String, network: String?) throws {
        #expect(ConnectionTable.network(of: try IPAddress(address))?.text == network)
    }
}
