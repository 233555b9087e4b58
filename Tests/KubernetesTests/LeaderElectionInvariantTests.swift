import Testing
import Time

@testable import Kubernetes

/// Each invariant of an election fails at a time at which it does not hold.
@Suite struct LeaderElectionInvariantTests {
    @Test func leadershipPastItsEndIsFound() {
        let election = LeaderElectionTests().leader()
        #expect(election.checkInvariants(at: LeaderElectionTests.start) == nil)
        let late = LeaderElectionTests.start + .seconds(5)
        #expect(election.checkInvariants(at: late) == "the leadership is over and goes on")
    }

    @Test func longPauseIsFound() {
        let election = LeaderElectionTests().leader()
        let early = LeaderElectionTests.start + (.zero - .seconds(100))
        #expect(election.checkInvariants(at: early) == "the pause is too long")
    }
}
