import Multiformats
import Testing

@testable import Kademlia

@Suite struct NodeStateTests {
    /// A lookup for the own id finds K peers in a network of any size: whoever knows exactly K must not take them for
    /// all, or its records would lie where nobody looks for them.
    @Test func kPeersMayBeAPartOfMore() throws {
        var state = NodeState(localPeer: try testPeer(0).id, configuration: KademliaConfiguration(), now: .zero)
        for number in 1..<20 { _ = state.table.insert(try testPeer(number), now: .zero) }
        #expect(state.table.count == 19)
        state.schedule.add(Key("a"), now: .zero)
        guard case .queued = state.takeUpDueKeys(now: .zero, isReachable: true) else {
            Issue.record("19 peers are all there are: their records need no lookup")
            return
        }
        _ = state.table.insert(try testPeer(20), now: .zero)
        #expect(state.table.count == 20)
        state.schedule.add(Key("b"), now: .zero)
        guard case .lookUp(let keys) = state.takeUpDueKeys(now: .zero, isReachable: true) else {
            Issue.record("20 peers may be a part of more: each key needs a lookup")
            return
        }
        #expect(keys.contains(Key("b")))
    }

    /// Those who were asked first may have known hardly anybody, so the neighbourhood is looked up again soon.
    @Test func theNeighbourhoodIsLookedUpAgainSoonAndThenEverMoreRarely() throws {
        var state = NodeState(localPeer: try testPeer(0).id, configuration: KademliaConfiguration(), now: .zero)
        _ = state.table.insert(try testPeer(1), now: .zero)
        state.wantsSelfLookup = true
        var times: [Int] = []
        for second in 0..<2500 where state.needsRefresh(now: .seconds(second)) {
            if state.takeSelfLookup(now: .seconds(second)) { times.append(second) }
        }
        #expect(times == [0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 1023, 1623, 2223])
        state.wantsSelfLookup = true
        let afterwards = [2500, 2500, 2501].map { state.takeSelfLookup(now: .seconds($0)) }
        #expect(afterwards == [true, false, true])
    }
}
