import Multiformats
import Testing

@testable import Kubernetes
@testable import Routing

@Suite(.timeLimit(.minutes(1)))
struct LeaderBootstrapTests {
    static let id = PeerDocumentTests.id

    func source(_ holder: String?, isLeader: Bool = false, error: String? = nil) -> LeaderBootstrap {
        LeaderBootstrap(patience: .milliseconds(100)) {
            LeaderElector.Status(
                isLeader: isLeader,
                holder: holder,
                transitions: 0,
                sinceRenewal: nil,
                sinceChange: nil,
                error: error,
                hasTried: true
            )
        }
    }

    @Test func returnsAddressOfHolder() async throws {
        let address = "/ip4/10.0.0.1/tcp/5001/p2p/\(Self.id)"
        let expected = try Multiaddr(address)
        let found = try await source(address).addresses()
        #expect(found == [expected])
        // Also while the API server is unreachable.
        let old = try await source(address, error: "away").addresses()
        #expect(old == [expected])
        let own = try await source(address, isLeader: true).addresses()
        #expect(own.isEmpty)
        let none = try await source(nil).addresses()
        #expect(none.isEmpty)
    }

    @Test func errorNamesFault() async throws {
        for (source, word) in [
            (source(nil, error: "away"), "away"), (source("node1_abc"), "node1_abc"),
            (source("/ip4/10.0.0.1/tcp/1"), "multiaddr"),
        ] {
            let error = await #expect(throws: LeaderBootstrap.Failure.self) { _ = try await source.addresses() }
            #expect(error?.description.contains(word) == true)
        }
    }

    @Test func identityIsReachableAddress() throws {
        let id = try PeerID(Self.id)
        let addresses = try ["/ip4/127.0.0.1/tcp/5001", "/ip4/10.0.0.1/tcp/5001", "/ip6/fd00::1/tcp/5002"].map {
            try Multiaddr($0)
        }
        func identity(_ ip: String?, _ count: Int = 3, loopback: Bool = false) throws -> String? {
            LeaderBootstrap.identity(
                among: Array(addresses.prefix(count)),
                id: id,
                ip: try ip.map { try IPAddress($0) },
                acceptsLoopback: loopback
            )?.description
        }
        #expect(try identity(nil) == "/ip4/10.0.0.1/tcp/5001/p2p/\(id)")
        #expect(try identity("fd00::1") == "/ip6/fd00::1/tcp/5002/p2p/\(id)")
        #expect(try identity("192.0.2.1") == "/ip4/192.0.2.1/tcp/5001/p2p/\(id)")
        #expect(try identity(nil, 1) == nil)
        #expect(try identity(nil, 1, loopback: true) == "/ip4/127.0.0.1/tcp/5001/p2p/\(id)")
        #expect(try identity("10.0.0.1", 0) == nil)
    }

    @Test func failingSourceDoesNotAffectOthers() async throws {
        let good = StaticBootstrap([try Multiaddr("/ip4/10.0.0.1/tcp/1")])
        let found = try await CombinedBootstrap([source(nil, error: "away"), good, good]).addresses()
        #expect(found.count == 1)
        let error = await #expect(throws: CombinedBootstrap.Failure.self) {
            _ = try await CombinedBootstrap([source(nil, error: "one"), source(nil, error: "two")]).addresses()
        }
        #expect(error?.description.contains("one") == true && error?.description.contains("two") == true)
        let none = try await CombinedBootstrap([source(nil), StaticBootstrap([])]).addresses()
        #expect(none.isEmpty)
    }
}
