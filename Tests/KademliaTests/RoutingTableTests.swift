import Multiformats
import TestSupport
import Testing
import Time

@testable import Kademlia

@Suite struct RoutingTableTests {
    private func table(_ change: (inout RoutingTable.Configuration) -> Void = { _ in }) throws -> RoutingTable {
        var configuration = RoutingTable.Configuration()
        change(&configuration)
        return RoutingTable(localPeer: try testPeer(0).id, configuration: configuration, now: .zero)
    }

    @Test func neverContainsSelf() throws {
        var table = try table()
        #expect(table.insert(try testPeer(0), now: .zero) == .refusedSelf)
        #expect(table.count == 0)
        #expect(table.closest(20, to: table.localPosition).isEmpty)
    }

    @Test func closestMatchesSorting() throws {
        var generator = SeededGenerator()
        var table = try table()
        for number in 1...2000 { _ = table.insert(try testPeer(number), now: .zero) }
        let peers = table.peers
        #expect(peers.count == table.count)
        #expect(table.count < 400 && table.count > 100)
        var targets = (0..<100).map { _ in KeySpacePosition(hashing: generator.bytes(8)) }
        targets.append(table.localPosition)
        targets += peers.prefix(50).map(position(of:))
        for target in targets {
            for count in [1, 3, 20, 1000] {
                #expect(
                    table.closest(count, to: target) == trulyClosest(count, of: peers, to: target),
                    "seed \(generator.seed)"
                )
            }
        }
    }

    @Test func floodOfNewPeersReplacesNoPeer() throws {
        var table = try table()
        for number in 1...20 { _ = table.insert(try testPeer(number), now: .zero) }
        for number in 21...5000 { _ = table.insert(try testPeer(number), now: .seconds(60)) }
        for number in 1...20 { #expect(table.contains(try testPeer(number).id)) }
        for bucket in table.buckets {
            #expect(bucket.entries.count <= 20)
            #expect(bucket.replacements.count <= 10)
        }
    }

    /// Peers of crowded and other networks come, move, fail and go.
    @Test(arguments: UInt64(0)..<20)
    func invariantsHoldAtRandom(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var table = try table {
            $0.bucketSize = 3
            $0.replacementCacheSize = 2
            $0.maximumPerAddressGroup = 5
            $0.maximumPerAddressGroupInBucket = 2
            $0.staleAfter = .seconds(50)
            $0.maximumFailures = 2
        }
        for step in 0..<400 {
            let number = Int.random(in: 0..<40, using: &generator)
            let network = Int.random(in: 0..<4, using: &generator)
            let peer = try publicPeer(number, "/ip4/203.0.\(network).1/tcp/5001")
            switch Int.random(in: 0..<8, using: &generator) {
            case 0: table.remove(peer.id)
            case 1, 2: _ = table.failed(peer.id)
            case 3: table.seen(peer.id, now: .seconds(step))
            case 4: _ = table.insert(PeerInfo(id: peer.id, addresses: []), now: .seconds(step))
            default: _ = table.insert(peer, now: .seconds(step))
            }
            #expect(table.checkInvariants() == nil, "seed \(seed), step \(step)")
        }
    }

    @Test func replacesStalePeer() throws {
        var table = try table { $0.bucketSize = 1 }
        let ownBucket = try (1...200).map { try testPeer($0) }
            .filter { table.localPosition.commonPrefixLength(with: position(of: $0)) == 0 }
        #expect(table.insert(ownBucket[0], now: .zero) == .added)
        #expect(table.insert(ownBucket[1], now: .seconds(3599)) == .waiting)
        #expect(table.insert(ownBucket[2], now: .seconds(3600)) == .replaced(ownBucket[0].id))
        table.seen(ownBucket[2].id, now: .seconds(7000))
        #expect(table.insert(ownBucket[3], now: .seconds(7200)) == .waiting)
        #expect(table.count == 1)
    }

    @Test func replacementTakesPlaceOfRemovedPeer() throws {
        var table = try table { $0.bucketSize = 1 }
        let sameBucket = try (1...200).map { try testPeer($0) }
            .filter { table.localPosition.commonPrefixLength(with: position(of: $0)) == 0 }
        for peer in sameBucket.prefix(3) { _ = table.insert(peer, now: .zero) }
        let wasRemoved = table.failed(sameBucket[0].id)
        #expect(wasRemoved)
        #expect(table.peers == [sameBucket[2]])
        // A replacement that fails is dropped.
        let waitingWasRemoved = table.failed(sameBucket[1].id)
        #expect(!waitingWasRemoved)
        table.remove(sameBucket[2].id)
        #expect(table.count == 0)
        #expect(table.peers.isEmpty)
    }

    @Test func removesPeerAfterConfiguredFailures() throws {
        var table = try table { $0.maximumFailures = 2 }
        let peer = try testPeer(1)
        _ = table.insert(peer, now: .zero)
        #expect(table.failed(peer.id) == false)
        table.seen(peer.id, now: .zero)
        #expect(table.failed(peer.id) == false)
        #expect(table.failed(peer.id) == true)
        #expect(!table.contains(peer.id))
    }

    @Test func updatesAddresses() throws {
        var table = try table()
        let peer = try testPeer(1)
        let moved = PeerInfo(id: peer.id, addresses: [try testAddress(77)])
        #expect(table.insert(peer, now: .zero) == .added)
        #expect(table.insert(moved, now: .zero) == .updated)
        #expect(table.insert(PeerInfo(id: peer.id, addresses: []), now: .zero) == .updated)
        #expect(table.info(of: peer.id) == moved)
        #expect(table.count == 1)
    }

    @Test func bucketsBecomeDueForRefresh() throws {
        var table = try table()
        for number in 1...50 { _ = table.insert(try testPeer(number), now: .zero) }
        #expect(table.bucketsDueForRefresh(now: .seconds(599)).isEmpty)
        #expect(table.bucketsDueForRefresh(now: .seconds(600)) == Array(table.buckets.indices))
        table.markRefreshed(bucket: 0, now: .seconds(600))
        table.markRefreshed(bucket: 999, now: .seconds(600))
        #expect(table.bucketsDueForRefresh(now: .seconds(600)) == Array(table.buckets.indices.dropFirst()))
    }

    private func publicPeer(_ number: Int, _ address: String) throws -> PeerInfo {
        PeerInfo(id: try testPeer(number).id, addresses: [try Multiaddr(address)])
    }

    @Test func oneNetworkCannotFillTable() throws {
        for form in ["/ip4/203.0.113.%/tcp/5001", "/ip6/2001:db8:1:2::%/tcp/5001"] {
            var table = try table()
            var refused = 0
            for number in 1...3000 {
                let address = form.replacing("%", with: "\(number % 250 + 1)")
                if table.insert(try publicPeer(number, address), now: .zero) == .refusedByAddress { refused += 1 }
            }
            #expect(table.count == 60)
            #expect(refused > 2500)
            #expect(table.checkInvariants() == nil)
            // Other networks still have room, and removed peers free theirs.
            #expect(table.insert(try publicPeer(5000, "/ip4/198.51.100.1/tcp/1"), now: .zero) != .refusedByAddress)
            let gone = table.peers
            while let peer = table.peers.first { table.remove(peer.id) }
            #expect(table.insert(gone[0], now: .zero) == .added)
        }
    }

    @Test func fullBucketReplacesPeersOfCrowdedNetwork() throws {
        var table = try table()
        let sameBucket = try (1...400).map { try testPeer($0) }
            .filter { table.localPosition.commonPrefixLength(with: position(of: $0)) == 0 }.map(\.id)
        for (place, id) in sameBucket.prefix(20).enumerated() {
            let peer = PeerInfo(id: id, addresses: [try Multiaddr("/ip4/203.0.113.\(place + 1)/tcp/5001")])
            #expect(table.insert(peer, now: .seconds(place)) == .added)
        }
        var replaced: [PeerID] = []
        for (place, id) in sameBucket[20..<40].enumerated() {
            let peer = PeerInfo(id: id, addresses: [try Multiaddr("/ip4/198.51.\(place).1/tcp/5001")])
            if case .replaced(let old) = table.insert(peer, now: .seconds(100)) { replaced.append(old) }
        }
        // Ten stay: the last seen.
        #expect(replaced == Array(sameBucket.prefix(10)))
        #expect(table.count == 20)
        // More peers of the crowded network replace no peer.
        let more = PeerInfo(id: sameBucket[50], addresses: [try Multiaddr("/ip4/203.0.113.99/tcp/5001")])
        #expect(table.insert(more, now: .seconds(100)) == .waiting)
    }

    @Test func privateNetworksAreNotLimited() throws {
        for form in ["/ip4/10.0.0.%/tcp/1", "/ip4/127.0.0.%/tcp/1", "/ip4/192.168.1.%/tcp/1", "/ip6/fd00::%/tcp/1"] {
            var table = try table()
            for number in 1...3000 {
                let address = form.replacing("%", with: "\(number % 250 + 1)")
                #expect(table.insert(try publicPeer(number, address), now: .zero) != .refusedByAddress)
            }
            #expect(table.count > 100)
        }
    }
}
