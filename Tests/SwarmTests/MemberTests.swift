import Multiformats
import Testing
import Time

@testable import Swarm

struct MemberTests {
    private func member(isSmall: Bool = false, coordinators: [Int] = [50, 51]) -> Member {
        Member(.init(key: key, size: 1000, isSmall: isSmall), coordinators: coordinators.map(peer))
    }

    private func joins(_ actions: [Member.Action]) -> [PeerID] {
        actions.compactMap {
            guard case .send(let message, to: let id) = $0, case .join = message.body else { return nil }
            return id
        }
    }

    private func place(_ source: Int, round: UInt32) -> SwarmMessage.Body {
        .place(.init(sources: [.init(id: peer(source))], round: round))
    }

    @Test func readsFromItsPlaceAndReportsTheEnd() {
        var member = member()
        #expect(joins(member.start(now: time(0))) == [peer(50)])
        #expect(
            member.handle(.message(place(1, round: 1), from: peer(50)), now: time(1))
                == [.read(from: .init(id: peer(1)), at: 0)]
        )
        let first = member.handle(.reached(10), now: time(5))
        #expect(first.count == 1, "those behind it wait for the first byte")
        let last = member.handle(.reached(1000), now: time(9))
        guard case .send(let message, to: _) = last.first, case .progress(let progress) = message.body else {
            Issue.record("expected a report, got \(last)")
            return
        }
        #expect(progress.supply == .complete)
        #expect(member.isAtEnd && member.deadline == nil)
    }

    @Test func asksNextCoordinatorThenGoesOnAlone() {
        var member = member()
        _ = member.start(now: time(0))
        #expect(joins(member.handle(.timer, now: time(300))) == [peer(51)])
        #expect(member.handle(.timer, now: time(600)) == [], "its own lookup may still find a provider")
        #expect(member.handle(.found([.init(id: peer(9))]), now: time(700)) == [.read(from: .init(id: peer(9)), at: 0)])
    }

    @Test func answers404AfterTwoSecondsWhateverHappens() {
        var member = member()
        _ = member.start(now: time(0))
        var ended: Int64?
        for now in stride(from: Int64(10), through: 3000, by: 10) {
            var actions = member.handle(.message(.wait, from: peer(50)), now: time(now))
            actions += member.handle(.timer, now: time(now))
            if actions.contains(.goUpstream), ended == nil { ended = now }
        }
        #expect(ended.map { (1990...2010).contains($0) } == true, "\(ended ?? -1)")
    }

    @Test func manifestIsAwaitedFor300Milliseconds() {
        var member = member(isSmall: true)
        _ = member.start(now: time(0))
        _ = member.handle(.message(.wait, from: peer(50)), now: time(1))
        #expect(!member.handle(.timer, now: time(290)).contains(.goUpstream))
        #expect(member.handle(.timer, now: time(300)).contains(.goUpstream))
    }

    @Test func leavesSilentSourceWithinTwoSeconds() {
        var member = member()
        _ = member.start(now: time(0))
        _ = member.handle(.message(place(1, round: 1), from: peer(50)), now: time(1))
        _ = member.handle(.reached(500), now: time(100))
        var paused: Int64?
        for now in stride(from: Int64(110), through: 3000, by: 10) {
            let actions = member.handle(.timer, now: time(now))
            if actions.contains(.pause), paused == nil { paused = now }
            // The coordinator answers what it is asked, but knows no other place.
            for case .send(_, to: let id) in actions where paused == nil {
                _ = member.handle(.message(.unknown, from: id), now: time(now))
            }
        }
        #expect(paused.map { $0 <= 2110 } == true, "\(paused ?? -1)")
    }

    @Test func ignoresLatePlacesAndStrangers() {
        var member = member()
        _ = member.start(now: time(0))
        _ = member.handle(.message(place(2, round: 2), from: peer(50)), now: time(1))
        #expect(member.handle(.message(place(1, round: 1), from: peer(50)), now: time(2)) == [])
        #expect(member.handle(.message(place(3, round: 3), from: peer(99)), now: time(3)) == [])
        #expect(member.state == .reading(peer(2)))
    }

    @Test func pausesWhenAnotherTakesItsPlace() {
        var member = member()
        _ = member.start(now: time(0))
        _ = member.handle(.message(place(1, round: 1), from: peer(50)), now: time(1))
        #expect(member.handle(.message(.place(.init(sources: [], round: 2)), from: peer(50)), now: time(2)) == [.pause])
        #expect(member.state == .searching)
    }

    @Test func followsToAnotherCoordinatorAFewTimesOnly() {
        var member = member()
        _ = member.start(now: time(0))
        var followed = 0
        for number in 0..<20 {
            guard let coordinator = member.coordinator else { break }
            let actions = member.handle(
                .message(.elsewhere(.init(id: peer(200 + number))), from: coordinator),
                now: time(Int64(number))
            )
            followed += joins(actions).count
        }
        #expect((1...6).contains(followed))
        #expect(member.deadline != nil)
    }

    @Test func reportsOfLongTransferStayFew() {
        var member = member()
        _ = member.start(now: time(0))
        _ = member.handle(.message(place(1, round: 1), from: peer(50)), now: time(1))
        var reports = 0
        for step in 1..<4000 {
            let now = time(Int64(step) * 10)
            reports += member.handle(.reached(Int64(step % 998) + 1), now: now).count
            for case .send(let message, to: let id) in member.handle(.timer, now: now) {
                reports += 1
                guard case .progress(let progress) = message.body, progress.asks else { continue }
                reports += 1
                _ = member.handle(.message(.wait, from: id), now: now)
            }
        }
        // 40 s: a tenth of the usual rate.
        #expect((20...40).contains(reports), "\(reports)")
    }
}
