import Multiformats
import TestSupport
import Testing
import Time

@testable import Kademlia

@Suite struct LookupTests {
    private func lookup(
        _ goal: Lookup.Goal = .closestPeers,
        seeds: [PeerInfo],
        _ change: (inout Lookup.Configuration) -> Void = { _ in }
    ) throws -> Lookup {
        var configuration = Lookup.Configuration()
        change(&configuration)
        return Lookup(
            goal,
            key: Key("x").bytes,
            localPeer: try testPeer(0).id,
            seeds: seeds,
            configuration: configuration,
            isUsable: \.isDialable
        )
    }

    @Test func endsAtOnceWithoutPeers() throws {
        var lookup = try lookup(seeds: [])
        #expect(lookup.next(now: .zero) == .finished)
        #expect(lookup.closestAnswered.isEmpty)
    }

    @Test func findsClosestOf500Peers() throws {
        var generator = SeededGenerator()
        var network = try SimulatedNetwork(size: 500, using: &generator)
        for isPartlySilent in [false, true] {
            if isPartlySilent { network.silent = Set(network.peers.shuffled(using: &generator).prefix(100).map(\.id)) }
            let alive = network.peers.filter { !network.silent.contains($0.id) }
            for number in 0..<40 {
                let start = alive[Int.random(in: alive.indices, using: &generator)]
                let key = Key("\(number)")
                // Starts at a newcomer that knows three peers.
                let seeds = Array(network.tables[start.id]?.peers.shuffled(using: &generator).prefix(3) ?? []) + [start]
                var lookup = Lookup(.closestPeers, key: key.bytes, localPeer: try testPeer(0).id, seeds: seeds)
                _ = network.run(&lookup, using: &generator)
                // Silent peers take up room in the replies. The lookup must find those of the K closest that are alive.
                let expected = trulyClosest(20, of: network.peers, to: key.position)
                    .filter { !network.silent.contains($0.id) }
                #expect(
                    Array(lookup.closestAnswered.prefix(expected.count)) == expected,
                    "seed \(generator.seed), silent \(isPartlySilent)"
                )
                #expect(lookup.requestCount <= 120, "seed \(generator.seed)")
                #expect(lookup.hops <= 6, "seed \(generator.seed)")
                #expect(lookup.checkInvariants() == nil, "seed \(generator.seed)")
            }
        }
    }

    @Test func findsProvidersAndEndsEarly() throws {
        var generator = SeededGenerator()
        var network = try SimulatedNetwork(size: 300, using: &generator)
        let key = Key("y")
        let provider = try testPeer(7777)
        let holders = trulyClosest(20, of: network.peers, to: key.position)
        for holder in holders { network.providers[holder.id] = [provider, try testPeer(0)] }
        for (wanted, isEarly) in [(1, true), (5, false)] {
            for start in network.peers.prefix(20) {
                var lookup = Lookup(
                    .providers(wanted: wanted),
                    key: key.bytes,
                    localPeer: try testPeer(0).id,
                    seeds: [start]
                )
                let found = network.run(&lookup, using: &generator)
                // The node itself is not among them, and each is returned once.
                #expect(found == [provider], "seed \(generator.seed)")
                let answered = Set(lookup.closestAnswered.map(\.id))
                if !isEarly { #expect(answered == Set(holders.map(\.id)), "seed \(generator.seed)") }
            }
        }
    }

    @Test func asksAlphaAtATimeThenTheRestAtOnce() throws {
        let seeds = try (1...15).map { try testPeer($0) }
        var lookup = try lookup(seeds: seeds) { $0.parallelism = 4 }
        guard case .ask(let first) = lookup.next(now: .zero) else {
            Issue.record("expected requests")
            return
        }
        #expect(first == trulyClosest(4, of: seeds, to: lookup.target))
        #expect(lookup.next(now: .zero) == .wait(until: .seconds(1)))
        for peer in first.prefix(3) { _ = lookup.reply(from: peer.id, closerPeers: []) }
        guard case .ask(let rest) = lookup.next(now: .zero) else {
            Issue.record("expected requests")
            return
        }
        #expect(rest.count == 11)
    }

    @Test func slowPeerDelaysNoOtherAndItsReplyCounts() throws {
        let seeds = try (1...6).map { try testPeer($0) }
        var lookup = try lookup(seeds: seeds) {
            $0.parallelism = 1
            $0.resiliency = 2
        }
        let order = trulyClosest(6, of: seeds, to: lookup.target)
        #expect(lookup.next(now: .zero) == .ask([order[0]]))
        #expect(lookup.next(now: .zero) == .wait(until: .seconds(1)))
        #expect(lookup.next(now: .seconds(1)) == .ask([order[1]]))
        _ = lookup.reply(from: order[0].id, closerPeers: [])
        #expect(lookup.closestAnswered == [order[0]])
        _ = lookup.reply(from: order[1].id, closerPeers: [])
        #expect(lookup.next(now: .seconds(1)) == .ask(Array(order[2...])))
        // The lookup does not wait for silent peers, as enough have replied.
        #expect(lookup.next(now: .seconds(1)) == .wait(until: .seconds(2)))
        #expect(lookup.next(now: .seconds(2)) == .finished)
    }

    @Test func waitsForLateRepliesWhileFewHaveReplied() throws {
        let peer = try testPeer(1)
        var lookup = try lookup(seeds: [peer])
        #expect(lookup.next(now: .zero) == .ask([peer]))
        #expect(lookup.next(now: .seconds(2)) == .wait(until: nil))
        lookup.failure(of: peer.id)
        #expect(lookup.next(now: .seconds(2)) == .finished)
    }

    @Test func missEndsWhenAllHaveReplied() throws {
        let seeds = try (1...5).map { try testPeer($0) }
        var lookup = try lookup(.providers(wanted: 1), seeds: seeds)
        #expect(lookup.next(now: .zero) == .ask(trulyClosest(5, of: seeds, to: lookup.target)))
        for peer in seeds { _ = lookup.reply(from: peer.id, closerPeers: seeds) }
        #expect(lookup.next(now: .zero) == .finished)
        #expect(lookup.requestCount == 5)
    }

    @Test func takesAtMostKUsablePeersOfOneReply() throws {
        let seed = try testPeer(1)
        var lookup = try lookup(seeds: [seed])
        #expect(lookup.next(now: .zero) == .ask([seed]))
        let bad = try ["/ip4/0.0.0.0/tcp/5001", "/ip4/10.0.0.1/tcp/0", "/ip4/10.0.0.1/udp/5001"].map {
            try Multiaddr($0)
        }
        var hostile = [
            try testPeer(0), PeerInfo(id: try testPeer(2).id, addresses: bad),
            PeerInfo(id: try testPeer(3).id, addresses: []),
        ]
        hostile += try (100..<400).map { try testPeer($0) }
        _ = lookup.reply(from: seed.id, closerPeers: hostile)
        var asked: [PeerInfo] = []
        while case .ask(let peers) = lookup.next(now: .zero) {
            asked += peers
            for peer in peers { lookup.failure(of: peer.id) }
        }
        #expect(Set(asked) == Set(hostile[3..<20]))
    }

    @Test func ignoresUnexpectedAndRepeatedReplies() throws {
        let seed = try testPeer(1)
        var lookup = try lookup(.providers(wanted: 5), seeds: [seed])
        #expect(lookup.reply(from: seed.id, closerPeers: [], providers: [try testPeer(9)]).isEmpty)
        #expect(lookup.next(now: .zero) == .ask([seed]))
        #expect(lookup.reply(from: try testPeer(2).id, closerPeers: [], providers: [try testPeer(9)]).isEmpty)
        #expect(lookup.reply(from: seed.id, closerPeers: [], providers: [try testPeer(9)]).count == 1)
        #expect(lookup.reply(from: seed.id, closerPeers: [], providers: [try testPeer(10)]).isEmpty)
    }

    /// A peer that names the requested number of providers does not end the search.
    @Test func countsOnlyShareOfProvidersOfOneReply() throws {
        let seeds = try (1...3).map { try testPeer($0) }
        var lookup = try lookup(.providers(wanted: 3), seeds: seeds)
        #expect(lookup.next(now: .zero) == .ask(trulyClosest(3, of: seeds, to: lookup.target)))
        let invented = try (100..<140).map { try testPeer($0) }
        #expect(lookup.reply(from: seeds[0].id, closerPeers: [], providers: invented) == [invented[0]])
        #expect(lookup.next(now: .zero) == .wait(until: .seconds(1)))
        #expect(lookup.reply(from: seeds[1].id, closerPeers: [], providers: [try testPeer(7), invented[0]]).count == 1)
        #expect(lookup.surplusProviders == Array(invented.dropFirst()))
        #expect(lookup.reply(from: seeds[2].id, closerPeers: [], providers: invented) == [invented[1]])
        #expect(lookup.next(now: .zero) == .finished)
        #expect(lookup.surplusProviders.first == invented[2])
    }

    @Test func reportsLatePeers() throws {
        let seeds = try (1...3).map { try testPeer($0) }
        var lookup = try lookup(seeds: seeds)
        _ = lookup.next(now: .zero)
        for seed in seeds.dropFirst() { _ = lookup.reply(from: seed.id, closerPeers: []) }
        #expect(lookup.latePeers.isEmpty)
        _ = lookup.next(now: .seconds(1))
        #expect(lookup.latePeers == [seeds[0]])
        _ = lookup.reply(from: seeds[0].id, closerPeers: [])
        #expect(lookup.latePeers.isEmpty)
    }

    /// Peers that invent new peers, which invent more.
    @Test func inventedPeersHitLimits() throws {
        var next = 1000
        var lookup = try lookup(.providers(wanted: 10_000), seeds: [try testPeer(1)]) { $0.maximumProviders = 300 }
        var found = 0
        loop: while true {
            switch lookup.next(now: .zero) {
            case .finished: break loop
            case .wait:
                Issue.record("no request in flight")
                break loop
            case .ask(let peers):
                for peer in peers {
                    let invented = try (next..<next + 300).map { try testPeer($0) }
                    next += 300
                    #expect(lookup.checkInvariants() == nil)
                    found += lookup.reply(from: peer.id, closerPeers: invented, providers: invented).count
                }
            }
        }
        #expect(lookup.requestCount <= 200)
        #expect(found == 300)
    }

    @Test func falseAddressesDoNotHideTrueOnes() throws {
        let seeds = try (1...2).map { try testPeer($0) }
        let victim = try testPeer(3)
        var lookup = try lookup(seeds: seeds)
        _ = lookup.next(now: .zero)
        _ = lookup.reply(from: seeds[0].id, closerPeers: [PeerInfo(id: victim.id, addresses: [try testAddress(66)])])
        _ = lookup.reply(from: seeds[1].id, closerPeers: [victim])
        #expect(
            lookup.next(now: .zero)
                == .ask([PeerInfo(id: victim.id, addresses: [try testAddress(66)] + victim.addresses)])
        )
    }
}
