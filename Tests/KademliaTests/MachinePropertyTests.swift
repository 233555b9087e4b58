import Multiformats
import TestSupport
import Testing
import Time

@testable import Kademlia

/// A single machine with small limits and random inputs: its invariants hold after each, and every search ends.
@Suite struct MachinePropertyTests {
    private struct Driver {
        var machine: KademliaMachine
        var generator: SeededGenerator
        var now = MonotonicTime.zero
        let peers: [PeerInfo]
        var requests: [(id: KademliaMachine.OperationID, message: Message)] = []
        var sends: [KademliaMachine.OperationID] = []
        var searches: [KademliaMachine.SearchID] = []
        var started: Set<KademliaMachine.SearchID> = []
        var turnedAway = 0

        init(seed: UInt64) throws {
            generator = SeededGenerator(seed: seed)
            peers = try (0..<24).map { try testPeer($0) }
            let bucketSize = Int.random(in: 2...4, using: &generator)
            machine = try testMachine {
                $0.routingTable.bucketSize = bucketSize
                $0.routingTable.replacementCacheSize = 2
                $0.lookup.replication = bucketSize
                $0.lookup.maximumCandidates = 12
                $0.providerStore.maximumRecords = 40
                $0.providerStore.maximumPerKey = 4
                $0.providerStore.maximumPerProvider = 8
                $0.providerStore.timeToLive = .seconds(60)
                $0.maximumConcurrentLookups = 2
                $0.maximumWaitingLookups = 2
                $0.maximumConcurrentSends = 2
                $0.maximumPendingAdmissions = 4
                $0.maximumConcurrentAdmissions = 2
                $0.maximumRemembered = 4
                $0.reprovideInterval = .seconds(30)
                $0.sendBatchSize = 2
            }
        }

        private mutating func peer() -> PeerInfo { peers[Int.random(in: 1..<peers.count, using: &generator)] }

        private mutating func key() -> Key { Key("sha256:\(Int.random(in: 0..<8, using: &generator))") }

        private mutating func keys() -> [Key] {
            let count = Int.random(in: 1...6, using: &generator)
            return (0..<count).map { _ in key() }
        }

        private mutating func reply(to message: Message) -> Message {
            func some(_ limit: Int) -> [Message.Peer] {
                (0..<Int.random(in: 0...limit, using: &generator)).map { _ in Message.Peer(peer()) }
            }
            let kind = Int.random(in: 0..<20, using: &generator) == 0 ? .ping : message.kind
            return Message(kind: kind, key: message.key, closerPeers: some(4), providerPeers: some(3))
        }

        mutating func step() {
            now = now + .milliseconds(Int.random(in: 0..<200, using: &generator))
            switch Int.random(in: 0..<24, using: &generator) {
            case 0...2: machine.peerAppeared(peer(), now: now)
            case 3: machine.peerGone(peer().id, now: now)
            case 4: machine.reportUnreachable(peer().id, now: now)
            case 5: machine.reportMissing(peer().id, for: key(), now: now)
            case 6: machine.reportCorrupt(peer().id, for: key(), now: now)
            case 7: machine.provide(keys(), now: now)
            case 8: machine.stopProviding(keys(), now: now)
            case 9:
                let sender = peer()
                let kinds: [RecordUpdate.Kind] = [.announce, .announce, .announce, .withdraw, .leave]
                let kind = kinds[Int.random(in: kinds.indices, using: &generator)]
                let update = RecordUpdate(kind: kind, keys: keys(), provider: sender, timeToLive: .seconds(60))
                machine.handle(update, from: sender.id, now: now)
            case 10:
                let message = Message(kind: .getProviders, key: key().bytes)
                _ = machine.handle(message, from: peer().id, now: now)
            case 11...14:
                let limit = Int.random(in: 1...3, using: &generator)
                let isTraced = Int.random(in: 0..<5, using: &generator) == 0
                searches.append(machine.findProviders(key(), limit: limit, isTraced: isTraced, now: now))
            case 15:
                if !searches.isEmpty {
                    let id = searches.remove(at: Int.random(in: searches.indices, using: &generator))
                    machine.cancelSearch(id, now: now)
                }
            case 16...20:
                guard !requests.isEmpty else { break }
                let request = requests.remove(at: Int.random(in: requests.indices, using: &generator))
                if Int.random(in: 0..<4, using: &generator) == 0 {
                    machine.failed(request.id, now: now)
                } else {
                    machine.received(reply(to: request.message), for: request.id, now: now)
                }
            case 21:
                guard !sends.isEmpty else { break }
                let send = sends.remove(at: Int.random(in: sends.indices, using: &generator))
                if Bool.random(using: &generator) {
                    machine.sent(send, now: now)
                } else {
                    machine.failed(send, now: now)
                }
            case 22: if let deadline = machine.nextDeadline { advance(to: deadline) }
            default: advance(to: now + .seconds(Int.random(in: 0..<40, using: &generator)))
            }
            drain()
        }

        private mutating func advance(to time: MonotonicTime) {
            now = max(now, time)
            machine.advance(to: now)
        }

        /// Lets time pass until no request is in flight any more.
        mutating func finish() {
            for _ in 0..<1000 where !searches.isEmpty {
                if let deadline = machine.nextDeadline { advance(to: deadline) }
                drain()
            }
        }

        private mutating func drain() {
            while let action = machine.nextAction() {
                switch action {
                case .request(let id, let message, _): requests.append((id, message))
                case .send(let id, _, _): sends.append(id)
                case .cancel(let id):
                    requests.removeAll { $0.id == id }
                    sends.removeAll { $0 == id }
                case .searchStarted(let id): #expect(started.insert(id).inserted, "a search starts once")
                case .searchEnded(let id, let summary):
                    searches.removeAll { $0 == id }
                    #expect(
                        (summary.outcome != .turnedAway) == started.contains(id),
                        "seed \(generator.seed), \(summary.outcome)"
                    )
                    if summary.outcome == .turnedAway { turnedAway += 1 }
                case .found, .recordAdded: break
                }
            }
        }
    }

    @Test func invariantsHoldAtRandom() throws {
        var (mostShared, turnedAway) = (0, 0)
        for seed in UInt64(0)..<60 {
            var driver = try Driver(seed: seed)
            for step in 0..<400 {
                driver.step()
                let violation = driver.machine.checkInvariants()
                #expect(violation == nil, "seed \(seed), step \(step)")
                guard violation == nil else { return }
                mostShared = max(mostShared, driver.machine.sharedLookups.values.map(\.searches.count).max() ?? 0)
            }
            driver.finish()
            #expect(driver.searches.isEmpty && driver.machine.activeSearchCount == 0, "seed \(seed)")
            turnedAway += driver.turnedAway
            driver.machine.leave(now: driver.now)
            #expect(driver.machine.checkInvariants() == nil, "seed \(seed)")
        }
        // The runs reach what they are about.
        #expect(mostShared > 2 && turnedAway > 50)
    }
}
