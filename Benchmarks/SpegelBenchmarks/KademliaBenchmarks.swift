import Benchmark
import Kademlia
import Multiformats
import TestSupport

/// Messages, the routing table, and a million records.
func kademliaBenchmarks() {
    let peers = (0..<20).map { Message.Peer(peer($0), connection: .connected) }
    let answer = Message(kind: .getProviders, key: Key("sha256:0").bytes, closerPeers: peers, providerPeers: peers)

    Benchmark("message: encode, 20 closer peers and 20 providers", configuration: .repeated(.kilo)) { benchmark in
        for _ in benchmark.scaledIterations { blackHole(answer.encoded()) }
    }

    Benchmark("message: decode, 20 closer peers and 20 providers", configuration: .repeated(.kilo)) { benchmark in
        let bytes = answer.encoded()
        benchmark.startMeasurement()
        for _ in benchmark.scaledIterations { blackHole(try Message(decoding: bytes)) }
    }

    Benchmark("routing table: offer a new peer, 100,000 seen", configuration: .repeated(.kilo)) { benchmark in
        var table = RoutingTable(localPeer: peer(0).id, now: .zero)
        let candidates = (1...100_000).map { peer($0) }
        var next = 0
        benchmark.startMeasurement()
        for _ in benchmark.scaledIterations {
            blackHole(table.insert(candidates[next % candidates.count], now: .zero))
            next += 1
        }
    }

    Benchmark("routing table: the 20 closest, 10,000 nodes", configuration: .repeated(.kilo)) { benchmark in
        var table = RoutingTable(localPeer: peer(0).id, now: .zero)
        for number in 1..<10_000 { _ = table.insert(peer(number), now: .zero) }
        let targets = positions(1000, from: 0)
        var next = 0
        benchmark.startMeasurement()
        for _ in benchmark.scaledIterations {
            blackHole(table.closest(20, to: targets[next % targets.count]))
            next += 1
        }
    }

    Benchmark("records: find the providers of a key, 1,000,000 records", configuration: .repeated(.mega)) { benchmark in
        let (store, keys) = full
        var random = SeededGenerator(seed: 1)
        benchmark.startMeasurement()
        for _ in benchmark.scaledIterations {
            let key = keys[Int(truncatingIfNeeded: random.next() % UInt64(keys.count))]
            blackHole(store.providers(for: key, now: .zero))
        }
    }

    Benchmark("reference: find a key in a dictionary, 1,000,000 keys", configuration: .repeated(.mega)) { benchmark in
        let keys = full.keys
        var random = SeededGenerator(seed: 1)
        benchmark.startMeasurement()
        for _ in benchmark.scaledIterations {
            blackHole(dictionary[keys[Int(truncatingIfNeeded: random.next() % UInt64(keys.count))]])
        }
    }

    Benchmark("records: renew a record, 1,000,000 records", configuration: .repeated(.mega)) { benchmark in
        var (store, keys) = full
        // Copies before the measurement starts.
        _ = store.add(providers[0], for: keys[0], now: .zero)
        var random = SeededGenerator(seed: 1)
        benchmark.startMeasurement()
        for _ in benchmark.scaledIterations {
            let index = Int(truncatingIfNeeded: random.next() % UInt64(keys.count))
            blackHole(store.add(providers[index % providerCount], for: keys[index], now: .zero))
        }
    }

    Benchmark("records: remove a record and add another, 1,000,000 records", configuration: .repeated(.mega)) {
        benchmark in
        var (store, keys) = full
        // Copies before the measurement starts.
        _ = store.add(providers[0], for: keys[0], now: .zero)
        let fresh = positions(200_000, from: 2_000_000)
        var next = 0
        benchmark.startMeasurement()
        for _ in benchmark.scaledIterations {
            let provider = providers[next % providerCount]
            let index = next % fresh.count
            store.remove(provider.id, for: next / fresh.count % 2 == 0 ? keys[index] : fresh[index])
            blackHole(store.add(provider, for: next / fresh.count % 2 == 0 ? fresh[index] : keys[index], now: .zero))
            next += 1
        }
    }
}

private let providerCount = 20

/// A store of a million records with a key each, of twenty providers in turn, created once.
private let full: (store: ProviderStore, keys: [KeySpacePosition]) = {
    let keys = positions(1_000_000, from: 0)
    var store = ProviderStore()
    for (index, key) in keys.enumerated() { _ = store.add(providers[index % providerCount], for: key, now: .zero) }
    return (store, keys)
}()

private let dictionary = Dictionary(uniqueKeysWithValues: full.keys.enumerated().map { ($0.element, $0.offset) })

private let providers = (0..<providerCount).map { peer($0) }

private func positions(_ count: Int, from first: Int) -> [KeySpacePosition] {
    (first..<first + count).map { number in
        KeySpacePosition(hashing: (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) })
    }
}

private func peer(_ number: Int) -> PeerInfo {
    let key = (0..<32).map { UInt8(truncatingIfNeeded: number >> (8 * min($0, 7))) }
    let id = PeerID(publicKeyProtobuf: [0x08, 0x01, 0x12, 0x20] + key)
    let address = Multiaddr(
        ip: .v4(IPv4Address(10, UInt8(number >> 16 & 0xFF), UInt8(number >> 8 & 0xFF), UInt8(number & 0xFF))),
        tcpPort: 5001
    )
    return PeerInfo(id: id, addresses: [address])
}
