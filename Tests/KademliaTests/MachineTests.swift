import Multiformats
import TestSupport
import Testing
import Time

@testable import Kademlia

/// A single machine: its handling of outcomes, deadlines and limits.
@Suite struct MachineTests {
    private func actions(_ machine: inout KademliaMachine) -> [KademliaMachine.Action] {
        var actions: [KademliaMachine.Action] = []
        while let action = machine.nextAction() { actions.append(action) }
        return actions
    }

    private func requests(
        _ actions: [KademliaMachine.Action]
    ) -> [(id: KademliaMachine.OperationID, message: Message, peer: PeerInfo)] {
        actions.compactMap { if case .request(let id, let message, let peer) = $0 { (id, message, peer) } else { nil } }
    }

    private func sends(
        _ actions: [KademliaMachine.Action]
    ) -> [(id: KademliaMachine.OperationID, update: RecordUpdate, peer: PeerInfo)] {
        actions.compactMap { if case .send(let id, let update, let peer) = $0 { (id, update, peer) } else { nil } }
    }

    private func summaries(_ actions: [KademliaMachine.Action]) -> [SearchSummary] {
        actions.compactMap { if case .searchEnded(_, let summary) = $0 { summary } else { nil } }
    }

    private func found(_ actions: [KademliaMachine.Action]) -> [PeerID] {
        actions.compactMap { if case .found(_, let peer) = $0 { peer.id } else { nil } }
    }

    private func announce(_ key: Key, by peer: PeerInfo, to machine: inout KademliaMachine, at now: MonotonicTime) {
        let update = RecordUpdate(kind: .announce, keys: [key], provider: peer, timeToLive: .seconds(600))
        machine.handle(update, from: peer.id, now: now)
    }

    @Test func loneMachineEndsSearchAtOnce() throws {
        var machine = try testMachine()
        #expect(machine.nextDeadline == nil)
        let search = machine.findProviders(Key("a"), limit: 3, now: .zero)
        let ended = actions(&machine)
        guard case .searchStarted(search) = ended.first, case .searchEnded(search, let summary) = ended.last else {
            Issue.record("the search has not ended at once")
            return
        }
        #expect(ended.count == 2 && summary.outcome == .missed && summary.requests == 0)
        // Without any reply nothing was learned, so the next search looks again.
        #expect(machine.misses.count == 0)
        machine.provide([Key("a")], now: .zero)
        machine.leave(now: .zero)
        #expect(machine.hasLeft)
    }

    @Test func admitsOnlyPeerThatReplies() throws {
        var machine = try testMachine()
        machine.peerAppeared(try testPeer(1), now: .zero)
        #expect(machine.table.count == 0)
        let check = try #require(requests(actions(&machine)).first)
        #expect(check.message == Message(kind: .findNode, key: try testPeer(1).id.bytes))
        // A reply of another kind does not count.
        machine.received(Message(kind: .ping), for: check.id, now: .zero)
        #expect(machine.table.count == 0)
        #expect(actions(&machine).isEmpty)
        #expect(machine.nextDeadline == .seconds(1))
        machine.advance(to: .seconds(1))
        let second = try #require(requests(actions(&machine)).first)
        machine.received(Message(kind: .findNode), for: second.id, now: .seconds(1))
        #expect(machine.table.count == 1)
        // The neighbourhood lookup starts at the peer.
        #expect(requests(actions(&machine)).map(\.message.key) == [machine.localPeer.bytes])
    }

    @Test func dropsSilentPeerAtDeadlineAndRetriesIt() throws {
        var machine = try testMachine()
        announce(Key("a"), by: try testPeer(1), to: &machine, at: .zero)
        machine.peerAppeared(try testPeer(1), now: .zero)
        var checks = 0
        while let deadline = machine.nextDeadline, deadline < .seconds(300) {
            checks += requests(actions(&machine)).count
            machine.advance(to: deadline)
            if checks > 10 { break }
        }
        #expect(checks == 4)
        #expect(machine.activeOperationCount == 0)
        // It stays unreachable, so its records are dropped.
        #expect(machine.recordCount == 0)
    }

    @Test func ignoresUnexpectedOutcomes() throws {
        var machine = try testMachine(knowing: 3)
        let search = machine.findProviders(Key("a"), limit: 3, now: .zero)
        let asked = requests(actions(&machine))
        #expect(asked.count == 3)
        machine.cancelSearch(search, now: .zero)
        let cancelled = actions(&machine)
        #expect(cancelled.count == 3)
        for request in asked {
            machine.failed(request.id, now: .zero)
            machine.received(Message(kind: .getProviders), for: request.id, now: .zero)
            machine.sent(request.id, now: .zero)
        }
        #expect(actions(&machine).isEmpty)
        // Cancelled requests do not count against their peers.
        #expect(machine.table.count == 3)
        #expect(machine.statistics.failedRequests == 0 && machine.statistics.searches.cancelled == 1)
    }

    /// A lookup of the own id finds K peers in a network of any size. A node with exactly K peers must not take them
    /// for all, or no lookup would find its records.
    @Test func kPeersDoNotCountAsAllPeers() throws {
        var few = try testMachine(knowing: 19)
        few.provide([Key("a")], now: .zero)
        few.advance(to: .zero + .milliseconds(10))
        let direct = actions(&few)
        #expect(sends(direct).count == 19)
        #expect(!requests(direct).contains { $0.message.key == Key("a").bytes })
        var many = try testMachine(knowing: 20)
        many.provide([Key("a")], now: .zero)
        many.advance(to: .zero + .milliseconds(10))
        let looking = actions(&many)
        #expect(sends(looking).isEmpty)
        #expect(requests(looking).contains { $0.message.key == Key("a").bytes })
    }

    @Test func gathersNewKeysAndSendsThemTogether() throws {
        var machine = try testMachine(knowing: 1)
        machine.advance(to: .seconds(2))
        _ = actions(&machine)
        for number in 0..<5 { machine.provide([Key("\(number)")], now: .seconds(2)) }
        #expect(sends(actions(&machine)).isEmpty)
        machine.advance(to: .seconds(2) + .milliseconds(10))
        let sent = sends(actions(&machine))
        #expect(sent.map(\.update.keys.count) == [5])
        #expect(sent.first?.update.timeToLive == .seconds(600))
        #expect(sent.first?.update.provider == (try testPeer(0)))
    }

    @Test func keysWaitForLocalAddress() throws {
        var machine = try testMachine(knowing: 1)
        machine.setLocalAddresses([], now: .zero)
        machine.provide([Key("a")], now: .zero)
        machine.advance(to: .seconds(1))
        #expect(sends(actions(&machine)).isEmpty)
        machine.setLocalAddresses([try testAddress(9)], now: .seconds(1))
        #expect(sends(actions(&machine)).map(\.update.provider.addresses) == [[try testAddress(9)]])
    }

    @Test func doesNotSendKeyWithdrawnWhileItWaits() throws {
        var machine = try testMachine(knowing: 1) { $0.sendBatchSize = 2 }
        let keys = (0..<6).map { Key("\($0)") }
        machine.provide(keys, now: .zero)
        machine.advance(to: .seconds(1))
        var sent = sends(actions(&machine))
        machine.stopProviding(keys.dropFirst(1), now: .seconds(1))
        machine.provide([keys[1]], now: .seconds(1))
        machine.advance(to: .seconds(2))
        var announced: [Key] = []
        var withdrawn: [Key] = []
        while let next = sent.popLast() {
            if next.update.kind == .announce { announced += next.update.keys } else { withdrawn += next.update.keys }
            machine.sent(next.id, now: .seconds(2))
            sent += sends(actions(&machine))
        }
        // Two were in flight. Their withdrawal follows.
        #expect(Set(announced).isSuperset(of: keys.prefix(2)) && Set(announced).count <= 4)
        #expect(Set(withdrawn) == Set(keys.dropFirst(2)))
        #expect(machine.pendingRecordCount == 0)
    }

    // MARK: - Searches

    @Test func remembersMissUntilExpiryOrNewRecord() throws {
        var machine = try testMachine(knowing: 1)
        let (key, peer) = (Key("a"), try testPeer(1))
        func miss(at now: MonotonicTime) {
            _ = machine.findProviders(key, limit: 3, now: now)
            for request in requests(actions(&machine)) where request.message.kind == .getProviders {
                machine.received(Message(kind: .getProviders), for: request.id, now: now)
            }
        }
        miss(at: .zero)
        #expect(summaries(actions(&machine)).map(\.outcome) == [.missed])
        _ = machine.findProviders(key, limit: 3, now: .zero + .milliseconds(249))
        #expect(summaries(actions(&machine)).map(\.outcome) == [.rememberedMiss])
        _ = machine.findProviders(key, limit: 3, now: .zero + .milliseconds(250))
        #expect(summaries(actions(&machine)).isEmpty)
        miss(at: .seconds(5))
        _ = actions(&machine)
        announce(key, by: peer, to: &machine, at: .seconds(5))
        _ = actions(&machine)
        _ = machine.findProviders(key, limit: 3, now: .seconds(5))
        let local = actions(&machine)
        #expect(found(local) == [peer.id])
        #expect(summaries(local).map(\.outcome) == [.local])
    }

    @Test func findsLocalRecordsWithoutSearch() throws {
        // A small cluster, and one large enough to have records elsewhere.
        for (count, suffices) in [(3, true), (30, false)] {
            var machine = try testMachine(knowing: count)
            let (key, other, peer) = (Key("a"), Key("b"), try testPeer(1))
            let unknown = machine.findProvidersHere(key, limit: 3, now: .zero)
            #expect(unknown == nil)

            announce(key, by: peer, to: &machine, at: .zero)
            _ = actions(&machine)
            let one = machine.findProvidersHere(key, limit: 1, now: .zero)
            #expect(one?.map(\.id) == [peer.id])
            let three = machine.findProvidersHere(key, limit: 3, now: .zero)
            #expect(three?.map(\.id) == (suffices ? [peer.id] : nil))
            #expect(machine.statistics.searches.local == (suffices ? 2 : 1))

            machine.reportMissing(peer.id, for: key, now: .zero)
            let excluded = machine.findProvidersHere(key, limit: 1, now: .zero)
            #expect(excluded == nil)

            // All asked peers reply without a provider.
            _ = machine.findProviders(other, limit: 3, now: .zero)
            var asked = requests(actions(&machine))
            while let request = asked.popLast() {
                machine.received(Message(kind: request.message.kind), for: request.id, now: .zero)
                asked += requests(actions(&machine))
            }
            let missed = machine.findProvidersHere(other, limit: 3, now: .zero + .milliseconds(249))
            #expect(missed?.isEmpty == true)
            #expect(machine.statistics.searches.rememberedMisses == 1)
            let forgotten = machine.findProvidersHere(other, limit: 3, now: .zero + .milliseconds(250))
            #expect(forgotten == nil)
            #expect(machine.activeSearchCount == 0)
            #expect(actions(&machine).isEmpty)
        }
    }

    @Test func suspectsCompleteResultInSmallNetwork() throws {
        for (count, suffices) in [(3, true), (30, false)] {
            var machine = try testMachine(knowing: count)
            let (key, peer) = (Key("a"), try testPeer(77))
            announce(key, by: peer, to: &machine, at: .zero)
            machine.reportUnreachable(peer.id, now: .zero)
            let found = machine.findProvidersHere(key, limit: 1, now: .zero)
            #expect(found?.map(\.id) == (suffices ? [peer.id] : nil))
        }
    }

    @Test func runningSearchGetsNewRecord() throws {
        for (count, ends) in [(3, true), (30, false)] {
            var machine = try testMachine(knowing: count)
            _ = machine.findProviders(Key("a"), limit: 2, now: .zero)
            _ = actions(&machine)
            announce(Key("a"), by: try testPeer(77), to: &machine, at: .zero)
            let first = actions(&machine)
            #expect(found(first) == [try testPeer(77).id])
            // It ends the search in a small network; in a large one there may be more.
            #expect(summaries(first).count == (ends ? 1 : 0))
            announce(Key("a"), by: try testPeer(78), to: &machine, at: .zero)
            if !ends { #expect(summaries(actions(&machine)).map(\.providers) == [2]) }
            #expect(machine.activeSearchCount == 0)
        }
    }

    @Test func excludesPeerWithoutContentUntilItAnnouncesAgain() throws {
        var machine = try testMachine(knowing: 2)
        let (key, peer, other) = (Key("a"), try testPeer(1), try testPeer(50))
        announce(key, by: peer, to: &machine, at: .zero)
        announce(key, by: other, to: &machine, at: .zero)
        machine.reportMissing(peer.id, for: key, now: .zero)
        #expect(machine.recordCount == 1)
        _ = actions(&machine)
        _ = machine.findProviders(key, limit: 5, now: .zero)
        #expect(found(actions(&machine)) == [other.id])
        // Others still name it, which does not count: the search continues. It is still offered for another key.
        machine.reportMissing(other.id, for: key, now: .zero)
        _ = machine.findProviders(key, limit: 1, now: .zero)
        let asked = requests(actions(&machine)).filter { $0.message.kind == .getProviders }
        #expect(asked.count == 2)
        for request in asked {
            let named = request.id == asked.last?.id ? [peer, try testPeer(60)] : [peer, other]
            let reply = Message(kind: .getProviders, providerPeers: named.map { Message.Peer($0) })
            machine.received(reply, for: request.id, now: .zero)
        }
        #expect(found(actions(&machine)) == [try testPeer(60).id])
        announce(Key("b"), by: peer, to: &machine, at: .zero)
        announce(key, by: peer, to: &machine, at: .zero)
        _ = actions(&machine)
        for name in ["a", "b"] { _ = machine.findProviders(Key(name), limit: 1, now: .zero) }
        #expect(found(actions(&machine)) == [peer.id, peer.id])
        #expect(machine.exclusions.contains(.init(position: key.position, peer: other.id), now: .seconds(29)))
        #expect(!machine.exclusions.contains(.init(position: key.position, peer: other.id), now: .seconds(30)))
    }

    @Test func excludesPeerWithCorruptContentDespiteNewAnnouncement() throws {
        var machine = try testMachine(knowing: 2)
        let (key, peer) = (Key("a"), try testPeer(1))
        announce(key, by: peer, to: &machine, at: .zero)
        machine.reportCorrupt(peer.id, for: key, now: .zero)
        #expect(machine.recordCount == 0)
        announce(key, by: peer, to: &machine, at: .seconds(1))
        announce(Key("b"), by: peer, to: &machine, at: .seconds(1))
        _ = actions(&machine)
        for name in ["a", "b"] { _ = machine.findProviders(Key(name), limit: 1, now: .seconds(599)) }
        #expect(found(actions(&machine)) == [peer.id])
        announce(key, by: peer, to: &machine, at: .seconds(600))
        _ = machine.findProviders(key, limit: 1, now: .seconds(601))
        #expect(found(actions(&machine)) == [peer.id])
    }

    @Test func offersFailedPeerLast() throws {
        var machine = try testMachine(knowing: 2)
        let (first, second) = (try testPeer(1), try testPeer(2))
        announce(Key("a"), by: second, to: &machine, at: .zero)
        announce(Key("a"), by: first, to: &machine, at: .seconds(1))
        machine.reportUnreachable(first.id, now: .seconds(1))
        // It is in the table, so it is checked.
        let check = try #require(requests(actions(&machine)).first { $0.message.key == first.id.bytes })
        _ = machine.findProviders(Key("a"), limit: 5, now: .seconds(1))
        #expect(found(actions(&machine)) == [second.id, first.id])
        machine.received(Message(kind: .findNode), for: check.id, now: .seconds(1))
        _ = actions(&machine)
        _ = machine.findProviders(Key("a"), limit: 5, now: .seconds(1))
        #expect(found(actions(&machine)) == [first.id, second.id])
    }

    @Test func queuesSearchesAboveLimitAndRejectsMore() throws {
        var machine = try testMachine(knowing: 1) {
            $0.maximumConcurrentLookups = 2
            $0.maximumWaitingLookups = 3
        }
        let ids = (0..<6).map { machine.findProviders(Key("\($0)"), limit: 1, now: .zero) }
        let first = actions(&machine)
        let asked = requests(first).filter { $0.message.kind == .getProviders }
        #expect(asked.count == 2 && started(first) == Array(ids.prefix(2)))
        #expect(summaries(first).map(\.outcome) == [.turnedAway])
        #expect(machine.activeSearchCount == 5)
        machine.cancelSearch(ids[2], now: .zero)
        machine.received(Message(kind: .getProviders), for: asked[0].id, now: .zero)
        #expect(requests(actions(&machine)).map(\.message.key) == [Key("3").bytes])
        machine.cancelSearch(ids[1], now: .zero)
        #expect(requests(actions(&machine)).map(\.message.key) == [Key("4").bytes])
        for id in ids { machine.cancelSearch(id, now: .zero) }
        #expect(machine.activeSearchCount == 0 && machine.activeOperationCount == 0)
    }

    private func started(_ actions: [KademliaMachine.Action]) -> [KademliaMachine.SearchID] {
        actions.compactMap { if case .searchStarted(let id) = $0 { id } else { nil } }
    }

    @Test func searchesForOneKeyShareLookup() throws {
        var machine = try testMachine(knowing: 1)
        let provider = try testPeer(9)
        let ids = (0..<3).map { _ in machine.findProviders(Key("a"), limit: 5, now: .zero) }
        let larger = machine.findProviders(Key("a"), limit: 6, now: .zero)
        let first = actions(&machine)
        let asked = requests(first).filter { $0.message.kind == .getProviders }
        // One with a higher limit cannot share their lookup.
        #expect(asked.count == 2 && started(first) == ids + [larger])
        // The first search may be cancelled.
        machine.cancelSearch(ids[0], now: .zero)
        #expect(actions(&machine).isEmpty)
        let reply = Message(kind: .getProviders, providerPeers: [Message.Peer(provider)])
        machine.received(reply, for: asked[0].id, now: .zero)
        let ended = actions(&machine)
        #expect(found(ended) == [provider.id, provider.id])
        #expect(summaries(ended).map(\.outcome) == [.found, .found])
        // Both have the cost of the lookup that they shared, which counts once.
        #expect(summaries(ended).map(\.hops) == [1, 1] && machine.statistics.hops == 1)
        #expect(machine.activeSearchCount == 1)
        machine.cancelSearch(larger, now: .zero)
        #expect(machine.activeSearchCount == 0 && machine.activeOperationCount == 0)
    }

    @Test func laterFollowerGetsEarlierProviders() throws {
        var machine = try testMachine(knowing: 2)
        let provider = try testPeer(9)
        let first = machine.findProviders(Key("a"), limit: 5, now: .zero)
        let asked = requests(actions(&machine)).filter { $0.message.kind == .getProviders }
        #expect(asked.count == 2)
        let reply = Message(kind: .getProviders, providerPeers: [Message.Peer(provider)])
        machine.received(reply, for: asked[0].id, now: .zero)
        #expect(found(actions(&machine)) == [provider.id])
        let second = machine.findProviders(Key("a"), limit: 5, now: .zero)
        #expect(found(actions(&machine)) == [provider.id])
        machine.cancelSearch(second, now: .zero)
        #expect(machine.activeSearchCount == 1 && machine.activeOperationCount == 1)
        machine.cancelSearch(first, now: .zero)
        #expect(machine.activeSearchCount == 0 && machine.activeOperationCount == 0)
    }

    @Test func queuedSearchReportsItsStart() throws {
        var machine = try testMachine(knowing: 1) { $0.maximumConcurrentLookups = 1 }
        let running = machine.findProviders(Key("0"), limit: 1, now: .zero)
        let first = machine.findProviders(Key("1"), limit: 1, now: .zero)
        let others = (0..<2).map { _ in machine.findProviders(Key("1"), limit: 1, now: .zero) }
        let before = actions(&machine)
        let asked = requests(before).filter { $0.message.kind == .getProviders }
        #expect(asked.count == 1 && started(before) == [running])
        // A search that shares its lookup takes its place in the queue.
        machine.cancelSearch(first, now: .zero)
        machine.received(Message(kind: .getProviders), for: asked[0].id, now: .zero)
        let after = actions(&machine)
        #expect(started(after) == others && requests(after).map(\.message.key) == [Key("1").bytes])
        for id in others { machine.cancelSearch(id, now: .zero) }
        #expect(machine.activeSearchCount == 0 && machine.activeOperationCount == 0)
    }

    @Test func tracedSearchReportsRequests() throws {
        var machine = try testMachine(knowing: 2)
        let provider = try testPeer(9)
        _ = machine.findProviders(Key("a"), limit: 5, isTraced: true, now: .zero)
        let asked = requests(actions(&machine)).filter { $0.message.kind == .getProviders }
        let reply = Message(
            kind: .getProviders,
            closerPeers: [Message.Peer(asked[0].peer)],
            providerPeers: [Message.Peer(provider)]
        )
        machine.received(reply, for: asked[0].id, now: .zero + .milliseconds(7))
        machine.failed(asked[1].id, now: .zero + .milliseconds(9))
        let summary = try #require(summaries(actions(&machine)).first)
        #expect(summary.trace?.providers == [provider])
        #expect(
            summary.trace?.requests == [
                .init(
                    peer: asked[0].peer,
                    start: .zero,
                    duration: .milliseconds(7),
                    outcome: .answered(closerPeers: 1, providers: 1)
                ),
                .init(peer: asked[1].peer, start: .zero, duration: .milliseconds(9), outcome: .failed),
            ]
        )
    }

    @Test func repeatsNeighbourhoodLookupWithGrowingIntervals() throws {
        var schedule = NeighbourhoodSchedule(longestInterval: .seconds(600), now: .zero)
        schedule.want(now: .zero)
        var times: [Int] = []
        for second in 0..<2500 where schedule.start(now: .seconds(second)) {
            times.append(second)
            schedule.ended(now: .seconds(second))
        }
        #expect(times == [0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 1023, 1623, 2223])
        schedule.want(now: .seconds(2500))
        #expect(schedule.start(now: .seconds(2500)) == true)
        schedule.want(now: .seconds(2500))
        // One at a time.
        #expect(schedule.start(now: .seconds(2500)) == false)
        schedule.ended(now: .seconds(2501))
        #expect(schedule.start(now: .seconds(2501)) == true)
    }
}
