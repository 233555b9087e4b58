import Testing
import Time

@testable import Kubernetes

/// The rules of the election; time is in seconds.
struct LeaderElectionTests {
    static let start = MonotonicTime.zero + .seconds(1000)

    static func lease(
        _ holder: String,
        _ version: Int,
        transitions: Int32 = 3,
        duration: Duration? = .seconds(10)
    ) -> Lease {
        let record = LeaseRecord(
            holder: holder,
            duration: duration,
            acquireTime: "a",
            renewTime: "\(version)",
            transitions: transitions
        )
        return Lease(record: record, version: "\(version)")
    }

    static func change(_ holder: String, transitions: Int32, keeps: Bool, seconds: Int = 10) -> LeaseChange {
        LeaseChange(
            holder: holder,
            duration: .seconds(seconds),
            transitions: transitions,
            keepsAcquireTime: keeps
        )
    }

    func election() -> LeaderElection {
        LeaderElection(identity: "me", timing: ElectionTiming(), now: Self.start)
    }

    /// Steps until the request is sent, and answers it.
    func answer(
        _ election: inout LeaderElection,
        _ expected: LeaderElection.Request,
        _ outcome: LeaderElection.Outcome,
        at seconds: Double,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let now = Self.start + .seconds(seconds)
        guard case .send(let request, _) = election.next(at: now) else {
            Issue.record("no request was sent", sourceLocation: sourceLocation)
            return
        }
        #expect(request == expected, sourceLocation: sourceLocation)
        election.receive(outcome, at: now, random: 0.5)
    }

    func leader() -> LeaderElection {
        var election = election()
        answer(&election, .get, .absent, at: 0)
        answer(&election, .create(Self.change("me", transitions: 0, keeps: false)), .lease(Self.lease("me", 1)), at: 0)
        return election
    }

    @Test func createsMissingLease() {
        var election = leader()
        #expect(election.isLeader(at: Self.start))
        #expect(election.takeEvents() == [.holderChanged("me"), .elected])
        #expect(election.next(at: Self.start) == .wait(until: Self.start + .seconds(2)))
    }

    @Test func leaderRenewsWithKnownVersion() {
        var election = leader()
        let change = Self.change("me", transitions: 3, keeps: true)
        answer(&election, .update(Self.lease("me", 1), change), .lease(Self.lease("me", 2)), at: 2)
        answer(&election, .update(Self.lease("me", 2), change), .lease(Self.lease("me", 3)), at: 4)
        #expect(election.isLeader(at: Self.start + .seconds(8.9)))
        #expect(!election.isLeader(at: Self.start + .seconds(9)))
    }

    @Test func leaderStepsDownWhenRenewalFails() {
        var election = leader()
        _ = election.takeEvents()
        let renewal = LeaderElection.Request.update(Self.lease("me", 1), Self.change("me", transitions: 3, keeps: true))
        answer(&election, renewal, .failed, at: 2)
        answer(&election, renewal, .failed, at: 4.4)
        #expect(election.next(at: Self.start + .seconds(4.5)) == .wait(until: Self.start + .seconds(5)))
        #expect(election.takeEvents() == [])
        _ = election.next(at: Self.start + .seconds(5))
        #expect(election.takeEvents() == [.lost])
        #expect(!election.isLeader(at: Self.start + .seconds(5)))
    }

    @Test func requestOfLeaderEndsWithLeadership() {
        var election = leader()
        let renewal = LeaderElection.Request.update(Self.lease("me", 1), Self.change("me", transitions: 3, keeps: true))
        #expect(
            election.next(at: Self.start + .seconds(4)) == .send(renewal, deadline: Self.start + .seconds(5))
        )
    }

    @Test func respectsForeignLeaseForItsDurationOnOwnClock() {
        var election = election()
        answer(&election, .get, .lease(Self.lease("you", 1)), at: 0)
        #expect(election.takeEvents() == [.holderChanged("you")])
        answer(&election, .get, .lease(Self.lease("you", 1)), at: 2)
        answer(&election, .get, .lease(Self.lease("you", 2)), at: 4)
        // It changed at 4, so it is respected until 14.
        answer(&election, .get, .lease(Self.lease("you", 2)), at: 13)
        #expect(election.next(at: Self.start + .seconds(13.5)) == .wait(until: Self.start + .seconds(14)))
        answer(&election, .get, .lease(Self.lease("you", 2)), at: 14)
        let takeover = Self.change("me", transitions: 4, keeps: false)
        answer(&election, .update(Self.lease("you", 2), takeover), .lease(Self.lease("me", 3)), at: 14)
        #expect(election.isLeader(at: Self.start + .seconds(14)))
    }

    @Test func takesReleasedLeaseAtOnce() {
        var election = election()
        answer(&election, .get, .lease(Self.lease("", 1, duration: .seconds(1))), at: 0)
        let takeover = Self.change("me", transitions: 4, keeps: false)
        answer(
            &election,
            .update(Self.lease("", 1, duration: .seconds(1)), takeover),
            .lease(Self.lease("me", 2)),
            at: 0
        )
        #expect(election.holder == "me")
    }

    @Test func readsLeaseOnceAfterConflict() {
        var election = election()
        answer(&election, .get, .absent, at: 0)
        answer(&election, .create(Self.change("me", transitions: 0, keeps: false)), .conflict, at: 0)
        answer(&election, .get, .lease(Self.lease("you", 1)), at: 0)
        #expect(election.holder == "you")
        guard case .wait = election.next(at: Self.start) else {
            Issue.record("continues without a pause")
            return
        }
    }

    @Test func repeatedConflictsDoNotSpin() {
        var election = election()
        var sent = 0
        while case .send(let request, _) = election.next(at: Self.start), sent < 100 {
            sent += 1
            election.receive(request == .get ? .lease(Self.lease("", sent)) : .conflict, at: Self.start, random: 0)
        }
        #expect(sent == 4)
    }

    @Test func recognisesOwnRenewalWithoutResponse() {
        var election = leader()
        let renewal = LeaderElection.Request.update(Self.lease("me", 1), Self.change("me", transitions: 3, keeps: true))
        answer(&election, renewal, .failed, at: 2)
        answer(&election, renewal, .conflict, at: 4.4)
        answer(&election, .get, .lease(Self.lease("me", 2)), at: 4.4)
        answer(
            &election,
            .update(Self.lease("me", 2), Self.change("me", transitions: 3, keeps: true)),
            .lease(Self.lease("me", 3)),
            at: 4.5
        )
        #expect(election.isLeader(at: Self.start + .seconds(9)))
    }

    @Test func ignoresResponseAfterDeadline() {
        var election = election()
        answer(&election, .get, .absent, at: 0)
        guard case .send = election.next(at: Self.start) else {
            Issue.record("no request was sent")
            return
        }
        election.receive(.lease(Self.lease("me", 1)), at: Self.start + .seconds(5), random: 0)
        #expect(!election.isLeader(at: Self.start + .seconds(5)))
        #expect(!election.takeEvents().contains(.elected))
    }

    @Test func resigningReleasesLease() {
        var election = leader()
        _ = election.takeEvents()
        election.resign(at: Self.start + .seconds(1))
        #expect(!election.isLeader(at: Self.start + .seconds(1)))
        #expect(election.takeEvents() == [.lost])
        answer(&election, .get, .lease(Self.lease("me", 1)), at: 1)
        let change = Self.change("", transitions: 3, keeps: false, seconds: 1)
        answer(&election, .update(Self.lease("me", 1), change), .conflict, at: 1)
        answer(&election, .get, .lease(Self.lease("me", 2)), at: 1)
        answer(&election, .update(Self.lease("me", 2), change), .lease(Self.lease("", 3)), at: 1)
        #expect(election.next(at: Self.start + .seconds(1)) == .finished)
    }

    @Test func resigningKeepsForeignLease() {
        var follower = election()
        answer(&follower, .get, .lease(Self.lease("you", 1)), at: 0)
        follower.resign(at: Self.start + .seconds(1))
        #expect(follower.next(at: Self.start + .seconds(1)) == .finished)

        var leader = leader()
        leader.resign(at: Self.start + .seconds(1))
        answer(&leader, .get, .lease(Self.lease("you", 7)), at: 1)
        #expect(leader.next(at: Self.start + .seconds(1)) == .finished)
    }

    @Test func resigningDuringAcquisitionReadsLease() {
        var election = election()
        answer(&election, .get, .absent, at: 0)
        _ = election.next(at: Self.start)
        election.resign(at: Self.start)
        answer(&election, .get, .lease(Self.lease("me", 1)), at: 0)
        guard case .send(.update(_, let change), _) = election.next(at: Self.start) else {
            Issue.record("the Lease was not released")
            return
        }
        #expect(change.holder.isEmpty)
    }

    @Test func backsOffWhileRequestsFail() {
        var election = election()
        var now = Self.start
        var waits: [Duration] = []
        for _ in 0..<7 {
            guard case .send(.get, _) = election.next(at: now) else {
                Issue.record("no request was sent")
                return
            }
            election.receive(.failed, at: now, random: 0.5)
            guard case .wait(let until) = election.next(at: now) else {
                Issue.record("no pause")
                return
            }
            waits.append(until - now)
            now = until
        }
        #expect(waits == [2, 4, 8, 16, 16, 16, 16].map { Duration.seconds($0) })
    }

    @Test(arguments: [
        (ElectionTiming(leaseDuration: .milliseconds(500)), "lease duration"),
        (ElectionTiming(leaseDuration: .milliseconds(1500), renewDeadline: .seconds(1)), "whole seconds"),
        (ElectionTiming(renewDeadline: .seconds(10)), "renew deadline"),
        (ElectionTiming(retryPeriod: .milliseconds(10)), "retry period"),
        (ElectionTiming(retryPeriod: .seconds(5)), "retry period"),
    ])
    func errorNamesImpossibleTiming(_ timing: ElectionTiming, _ word: String) {
        #expect(timing.fault?.contains(word) == true)
        #expect(ElectionTiming().fault == nil)
    }
}
