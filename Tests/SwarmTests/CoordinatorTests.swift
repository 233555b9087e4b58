import Multiformats
import Testing
import Time

@testable import Swarm

struct CoordinatorTests {
    private let holder = SwarmMessage.Source(id: peer(100))
    private let size: Int64 = 100_000_000

    private func join(_ number: Int, at milliseconds: Int64, _ coordinator: inout Coordinator) -> [SwarmAction] {
        coordinator.receive(envelope(.join(.init(size: size))), from: peer(number), now: time(milliseconds))
    }

    private func report(
        _ number: Int,
        _ progress: SwarmMessage.Progress,
        at milliseconds: Int64,
        _ coordinator: inout Coordinator
    ) -> [SwarmAction] {
        var progress = progress
        if progress.nextReport == 0 { progress.nextReport = 60_000 }
        return coordinator.receive(envelope(.progress(progress)), from: peer(number), now: time(milliseconds))
    }

    @Test func firstMembersFormChainBehindHolder() {
        var coordinator = Coordinator()
        #expect(join(1, at: 0, &coordinator).contains(.findProviders(key)))
        #expect(coordinator.found([holder], of: key, now: time(1)).source(of: 1) == peer(100))
        #expect(join(2, at: 2, &coordinator).source(of: 2) == peer(1))
        #expect(join(3, at: 3, &coordinator).source(of: 3) == peer(2))
    }

    @Test func firstMemberLeadsAndOthersWaitUntilItGrows() {
        var coordinator = Coordinator()
        _ = join(1, at: 0, &coordinator)
        #expect(coordinator.found([], of: key, now: time(1)).bodies(to: 1) == [.lead])
        #expect(join(2, at: 2, &coordinator).bodies(to: 2) == [.wait])
        let progress = SwarmMessage.Progress(position: 1 << 20, supply: .upstream)
        #expect(report(1, progress, at: 50, &coordinator).source(of: 2) == peer(1))
    }

    @Test func nextMemberLeadsWhenLeaderLeaves() {
        var coordinator = Coordinator()
        _ = join(1, at: 0, &coordinator)
        _ = coordinator.found([], of: key, now: time(1))
        _ = join(2, at: 2, &coordinator)
        let out = coordinator.receive(envelope(.leave), from: peer(1), now: time(20))
        #expect(out.bodies(to: 2) == [.lead])
    }

    @Test func nextMemberLeadsWhenLeaderDoesNotBegin() {
        var coordinator = Coordinator()
        _ = join(1, at: 0, &coordinator)
        _ = coordinator.found([], of: key, now: time(1))
        _ = join(2, at: 2, &coordinator)
        _ = report(1, .init(supply: .upstream), at: 10, &coordinator)
        _ = report(2, .init(), at: 10, &coordinator)
        #expect(coordinator.advance(to: time(900)).bodies(to: 2) == [])
        #expect(coordinator.advance(to: time(1100)).bodies(to: 2) == [.lead])
    }

    @Test func readersOfSilentMemberTakeItsPlace() {
        var coordinator = Coordinator()
        _ = join(1, at: 0, &coordinator)
        _ = coordinator.found([holder], of: key, now: time(1))
        _ = join(2, at: 2, &coordinator)
        _ = report(2, .init(position: 1 << 20, supply: .source, round: 1), at: 100, &coordinator)
        _ = report(1, .init(position: 2 << 20, supply: .source, round: 1, nextReport: 250), at: 100, &coordinator)
        #expect(coordinator.advance(to: time(600)).source(of: 2) == nil)
        #expect(coordinator.advance(to: time(1300)).source(of: 2) == peer(100))
    }

    @Test func memberThatHasMostLeadsWhenHolderFails() {
        var coordinator = Coordinator()
        _ = join(1, at: 0, &coordinator)
        _ = coordinator.found([holder], of: key, now: time(1))
        _ = join(2, at: 2, &coordinator)
        _ = report(2, .init(position: 1 << 20, supply: .source, round: 1), at: 100, &coordinator)
        let failed = SwarmMessage.Progress(position: 2 << 20, supply: .none, round: 1, asks: true, failed: [peer(100)])
        let out = report(1, failed, at: 200, &coordinator)
        #expect(out.bodies(to: 1) == [.lead])
        #expect(out.bodies(to: 2) == [], "the reader of the one that leads stays")
    }

    @Test func memberThatStarvesWithItsSourceStays() {
        var coordinator = Coordinator()
        _ = join(1, at: 0, &coordinator)
        _ = coordinator.found([holder], of: key, now: time(1))
        _ = join(2, at: 2, &coordinator)
        _ = report(1, .init(position: 1 << 20, supply: .source, round: 1), at: 100, &coordinator)
        let starved = SwarmMessage.Progress(position: 1 << 20, supply: .source, round: 1, starved: 1000, asks: true)
        #expect(report(2, starved, at: 1200, &coordinator).bodies(to: 2) == [.wait])
        #expect(report(1, starved, at: 1300, &coordinator).bodies(to: 1) != [.wait], "its source has what it needs")
    }

    @Test func unknownMemberIsToldToJoin() {
        var coordinator = Coordinator()
        #expect(report(1, .init(), at: 0, &coordinator).bodies(to: 1) == [.unknown])
        _ = join(2, at: 0, &coordinator)
        #expect(report(1, .init(), at: 0, &coordinator).bodies(to: 1) == [.unknown])
    }

    @Test func membersAreSentToSuccessor() {
        var coordinator = Coordinator()
        _ = join(1, at: 0, &coordinator)
        coordinator.handOver(key, to: .init(id: peer(50)), now: time(10))
        #expect(report(1, .init(), at: 20, &coordinator).bodies(to: 1) == [.elsewhere(.init(id: peer(50)))])
        #expect(join(2, at: 20, &coordinator).bodies(to: 2) == [.elsewhere(.init(id: peer(50)))])
    }

    @Test func crowdIsForgottenAfterAMinute() {
        var coordinator = Coordinator()
        _ = join(1, at: 0, &coordinator)
        _ = coordinator.advance(to: time(59_000))
        #expect(coordinator.keys == [key])
        _ = coordinator.advance(to: time(61_000))
        #expect(coordinator.keys == [])
        #expect(coordinator.deadline == nil)
    }

    @Test func crowdsAreBounded() {
        var coordinator = Coordinator()
        for number in 0...CoordinatorLimits.crowds {
            let bytes = (0..<32).map { $0 < 2 ? UInt8(truncatingIfNeeded: number >> (8 * $0)) : 1 }
            guard let key = CrowdKey(bytes: bytes) else { continue }
            let out = coordinator.receive(
                SwarmMessage(key: key, body: .join(.init())),
                from: peer(1),
                now: time(0)
            )
            if number == CoordinatorLimits.crowds {
                #expect(out == [.send(SwarmMessage(key: key, body: .lead), to: peer(1))])
            }
        }
        #expect(coordinator.keys.count == CoordinatorLimits.crowds)
    }

    @Test func largeCrowdIsATreeAndSmallOneAChain() {
        let policy = CrowdPolicy()
        #expect(policy.placesPerSource(members: 10, size: size) == 1)
        #expect(policy.placesPerSource(members: 50, size: size) == 1)
        #expect(policy.placesPerSource(members: 200, size: size) == 2)
        #expect(policy.placesPerSource(members: 10_000, size: size) == 2)
        #expect(policy.placesPerSource(members: 12, size: 10_000_000) == 1)
    }

    @Test func zoneIsCrossedOnce() {
        var coordinator = Coordinator()
        var sources: [Int: PeerID] = [:]
        for number in 1...8 {
            let join = SwarmMessage.Join(size: size, zone: number.isMultiple(of: 2) ? "b" : "a")
            var out = coordinator.receive(envelope(.join(join)), from: peer(number), now: time(Int64(number) * 40))
            if number == 1 { out += coordinator.found([holder], of: key, now: time(41)) }
            for member in 1...8 { if let source = out.source(of: member) { sources[member] = source } }
        }
        let crossings = (1...8).filter { number in
            guard let source = (1...8).first(where: { sources[number] == peer($0) }) else { return false }
            return source % 2 != number % 2
        }
        #expect(sources.count == 8)
        #expect(crossings.count == 1, "\(crossings)")
    }
}
