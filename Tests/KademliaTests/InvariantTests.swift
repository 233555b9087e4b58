import Multiformats
import TestSupport
import Testing
import Time

@testable import Kademlia

/// Each invariant of the machine fails when the state that it is about is broken.
@Suite struct InvariantTests {
    /// A machine with two lookups in flight, one queued lookup, an own key, and a peer's record.
    private func busyMachine() throws -> KademliaMachine {
        var machine = try testMachine(knowing: 3) {
            $0.maximumConcurrentLookups = 1
            $0.routingTable.bucketSize = 2
        }
        machine.provide([Key("own")], now: .zero)
        let update = RecordUpdate(
            kind: .announce,
            keys: [Key("held")],
            provider: try testPeer(1),
            timeToLive: .seconds(60)
        )
        machine.handle(update, from: try testPeer(1).id, now: .zero)
        for name in ["a", "a", "b"] { _ = machine.findProviders(Key(name), limit: 2, now: .zero) }
        machine.advance(to: .seconds(2))
        while machine.nextAction() != nil {}
        #expect(machine.checkInvariants() == nil)
        return machine
    }

    private func violation(_ damage: (inout KademliaMachine) throws -> Void) throws -> String {
        var machine = try busyMachine()
        try damage(&machine)
        return machine.checkInvariants() ?? "none"
    }

    @Test func brokenSearchesAreFound() throws {
        #expect(try violation { $0.queuedLookups = [] }.hasPrefix("searches:"))
        #expect(try violation { $0.lookupsByPosition = [:] } == "searches: a lookup is not found")
        #expect(
            try violation { machine in
                for id in machine.sharedLookups.keys { machine.sharedLookups[id]?.searches = [] }
            } == "searches: a lookup has no search"
        )
        #expect(
            try violation { machine in
                let id = try #require(machine.sharedLookups.first { $0.value.searches.count == 2 }?.key)
                machine.sharedLookups[id]?.searches.removeLast()
            } == "searches: a search never ends"
        )
        #expect(
            try violation { machine in
                let (id, provider) = (try #require(machine.searches.keys.first), try testPeer(1))
                machine.searches[id]?.found = [provider, provider]
            } == "searches: a provider is found twice"
        )
    }

    @Test func brokenLookupsAndRequestsAreFound() throws {
        #expect(try violation { $0.operations = [:] } != "none")
        #expect(try violation { $0.neighbourhood.isRefreshing.toggle() } == "bucket refreshes are miscounted")
        #expect(
            try violation { machine in
                let id = try #require(machine.lookups.keys.first)
                machine.lookups[id]?.operations = []
            } != "none"
        )
        #expect(
            try violation { machine in
                let id = try #require(
                    machine.lookups.first { if case .search = $0.value.purpose { true } else { false } }
                )
                machine.abandon(id.key)
            } == "a shared lookup is lost"
        )
    }

    @Test func brokenKeysAreFound() throws {
        #expect(
            try violation { _ = $0.advertising.withdraw.insert([Key("own")]) }
                == "advertising: a key is withdrawn that is provided"
        )
        #expect(
            try violation { _ = $0.advertising.announce.insert([Key("foreign")]) }
                == "advertising: a key is announced that is not provided"
        )
        #expect(try violation { $0.isLeaving = true } == "a leaving node provides keys")
    }
}
