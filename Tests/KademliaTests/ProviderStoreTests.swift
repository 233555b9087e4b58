import Multiformats
import TestSupport
import Testing
import Time

@testable import Kademlia

@Suite struct ProviderStoreTests {
    private func store(_ change: (inout ProviderStore.Configuration) -> Void = { _ in }) -> ProviderStore {
        var configuration = ProviderStore.Configuration()
        change(&configuration)
        return ProviderStore(configuration: configuration)
    }

    private func key(_ number: Int) -> KeySpacePosition { Key("sha256:\(number)").position }

    @Test func recordsExpireAtTheirLifetime() throws {
        var store = store()
        let peer = try testPeer(1)
        #expect(store.add(peer, for: key(1), now: .zero) == .added)
        #expect(store.providers(for: key(1), now: .seconds(599)) == [peer])
        #expect(store.providers(for: key(1), now: .seconds(600)).isEmpty)
        #expect(store.add(peer, for: key(1), now: .seconds(599)) == .renewed)
        #expect(store.providers(for: key(1), now: .seconds(1198)) == [peer])
        #expect(store.expire(now: .seconds(1198)) == 0)
        #expect(store.expire(now: .seconds(1199)) == 1)
        #expect(store.count == 0)
        #expect(store.providerCount == 0)
    }

    @Test func returnsLastAddressesAndNewestProviderFirst() throws {
        var store = store()
        let (first, second) = (try testPeer(1), try testPeer(2))
        _ = store.add(first, for: key(1), now: .zero)
        _ = store.add(second, for: key(1), now: .seconds(1))
        #expect(store.providers(for: key(1), now: .seconds(1)) == [second, first])
        let moved = PeerInfo(id: first.id, addresses: [try testAddress(99)])
        _ = store.add(moved, for: key(2), now: .seconds(2))
        #expect(store.providers(for: key(1), now: .seconds(2)) == [second, moved])
    }

    @Test func expiresAtMostLimit() throws {
        var store = store()
        for number in 0..<10 { _ = store.add(try testPeer(1), for: key(number), now: .seconds(100 * number)) }
        #expect(store.expire(now: .seconds(10_000), limit: 3) == 3)
        #expect(store.count == 7)
        #expect(store.expire(now: .seconds(10_000), limit: 100) == 7)
        #expect(store.nextExpiry == nil)
    }

    @Test func appliesLifetimeOfProvider() throws {
        var store = store { $0.maximumTimeToLive = .seconds(10_000) }
        let times = [1, 30, 599, 1140, 5000, 9999]
        for time in times { _ = store.add(try testPeer(1), for: key(time), timeToLive: .seconds(time), now: .zero) }
        _ = store.add(try testPeer(1), for: key(10_000), timeToLive: .seconds(50_000), now: .zero)
        for time in times + [10_000] {
            #expect(store.providers(for: key(time), now: .seconds(time - 1)).count == 1)
            #expect(store.expire(now: .seconds(time - 1)) == 0)
            #expect(store.expire(now: .seconds(time)) == 1)
        }
        #expect(store.count == 0)
    }

    @Test func refusesProvidersAboveKeyLimitAndKeepsConfirmedOnes() throws {
        var store = store { $0.maximumPerKey = 2 }
        _ = store.add(try testPeer(1), for: key(1), now: .zero)
        _ = store.add(try testPeer(2), for: key(1), now: .zero)
        #expect(store.add(try testPeer(3), for: key(1), now: .zero) == .refusedByKeyLimit)
        #expect(store.add(try testPeer(1), for: key(1), now: .zero) == .renewed)
        #expect(store.add(try testPeer(3), for: key(2), now: .zero) == .added)
        #expect(store.count == 3)
    }

    @Test func refusesKeysAboveProviderLimit() throws {
        var store = store { $0.maximumPerProvider = 2 }
        _ = store.add(try testPeer(1), for: key(1), now: .zero)
        _ = store.add(try testPeer(1), for: key(2), now: .zero)
        #expect(store.add(try testPeer(1), for: key(3), now: .zero) == .refusedByProviderLimit)
        store.remove(try testPeer(1).id, for: key(1))
        #expect(store.add(try testPeer(1), for: key(3), now: .zero) == .added)
    }

    @Test func dropsOldestRecordOfHeaviestProviderWhenFull() throws {
        var store = store { $0.maximumRecords = 4 }
        for number in 1...4 { _ = store.add(try testPeer(1), for: key(number), now: .seconds(number)) }
        #expect(store.add(try testPeer(1), for: key(5), now: .seconds(5)) == .refusedByTotalLimit)
        #expect(store.add(try testPeer(2), for: key(5), now: .seconds(5)) == .added)
        #expect(store.providers(for: key(1), now: .seconds(5)).isEmpty)
        #expect(store.add(try testPeer(2), for: key(6), now: .seconds(5)) == .added)
        // Now they have two each, and neither can displace a record of the other.
        #expect(store.add(try testPeer(2), for: key(7), now: .seconds(5)) == .refusedByTotalLimit)
        #expect(store.count == 4)
    }

    @Test func removesAllRecordsOfProvider() throws {
        var store = store()
        for number in 0..<100 {
            _ = store.add(try testPeer(1), for: key(number), now: .zero)
            _ = store.add(try testPeer(2), for: key(number), now: .zero)
        }
        #expect(store.removeAll(of: try testPeer(1).id) == 100)
        #expect(store.removeAll(of: try testPeer(1).id) == 0)
        #expect(store.count == 100)
        #expect(store.providers(for: key(5), now: .zero).map(\.id) == [try testPeer(2).id])
    }

    /// Random operations, compared with a dictionary as the model.
    @Test func matchesModelAtRandom() throws {
        struct Name: Hashable {
            var key: Int
            var peer: Int
        }
        var generator = SeededGenerator()
        var store = store { $0.timeToLive = .seconds(50) }
        var model: [Name: Int] = [:]
        let peers = try (0..<12).map { try testPeer($0) }
        for now in 0..<6000 {
            let name = Name(key: .random(in: 0..<40, using: &generator), peer: .random(in: 0..<12, using: &generator))
            switch Int.random(in: 0..<20, using: &generator) {
            case 0: store.expire(now: .seconds(now), limit: 5)
            case 1: store.expire(now: .seconds(now))
            case 2:
                store.removeAll(of: peers[name.peer].id)
                model = model.filter { $0.key.peer != name.peer }
            case 3...5:
                store.remove(peers[name.peer].id, for: key(name.key))
                model[name] = nil
            default:
                _ = store.add(peers[name.peer], for: key(name.key), now: .seconds(now))
                model[name] = now + 50
            }
            let expected = Set(model.filter { $0.key.key == name.key && $0.value > now }.map { peers[$0.key.peer].id })
            let actual = store.providers(for: key(name.key), now: .seconds(now)).map(\.id)
            #expect(Set(actual) == expected, "seed \(generator.seed), step \(now)")
            #expect(actual.count == expected.count, "seed \(generator.seed), step \(now)")
            if now % 20 == 0 { #expect(store.checkInvariants() == nil, "seed \(generator.seed), step \(now)") }
        }
        store.expire(now: .seconds(100_000))
        #expect(store.count == 0 && store.checkInvariants() == nil, "seed \(generator.seed)")
    }

    @Test func recordTakes64Bytes() {
        #expect(MemoryLayout<RecordTable.Record>.stride == 64)
    }
}
