import NIOCore
import NIOPosix
import Testing
import Time

@testable import Monitoring

struct LivenessTests {
    let start = MonotonicTime.zero

    @Test func aPartIsStalledAfterItsDeadline() {
        var liveness = Liveness()
        liveness.watch("a", deadline: .seconds(10), now: start)
        liveness.watch("b", deadline: .seconds(60), now: start)
        #expect(liveness.stalls(now: start + .seconds(10)).isEmpty)
        let stall = Liveness.Stall(part: "a", duration: .seconds(11))
        #expect(liveness.stalls(now: start + .seconds(11)) == [stall])
        #expect("\(stall)" == "a has not moved for 11 s")
        #expect(liveness.stalls(now: start + .seconds(61)).map(\.part) == ["a", "b"])
    }

    @Test func aHeartbeatEndsAStall() {
        var liveness = Liveness()
        liveness.watch("a", deadline: .seconds(10), now: start)
        liveness.beat("a", at: start + .seconds(30))
        #expect(liveness.stalls(now: start + .seconds(40)).isEmpty)
        // What is told late is no news.
        liveness.beat("a", at: start + .seconds(5))
        #expect(liveness.stalls(now: start + .seconds(40)).isEmpty)
        #expect(liveness.stalls(now: start + .seconds(41)).count == 1)
    }

    @Test func partsThatAreNotWatchedAreIgnored() {
        var liveness = Liveness()
        liveness.beat("stranger", at: start)
        #expect(liveness.stalls(now: start + .seconds(1000)).isEmpty)
        liveness.watch("a", deadline: .seconds(1), now: start)
        liveness.forget("a")
        #expect(liveness.stalls(now: start + .seconds(1000)).isEmpty)
    }

    @Test func aMonitorPollsParts() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let monitor = LivenessMonitor(group: group)
        monitor.watch("early", deadline: .milliseconds(1), lastMove: { .now })
        monitor.watch("late", deadline: .milliseconds(1), lastMove: { nil })
        try await Task.sleep(for: .milliseconds(20))
        #expect(monitor.stalls.map(\.part) == ["late"])
        try await group.shutdownGracefully()
    }
}
