import Testing
import Time

@testable import ContentStore

struct IdlePaceTests {
    /// A pace that a test asks: macros cannot call what changes a value.
    private final class Asked {
        private var pace = IdlePace()

        func mayRead(_ traffic: IdlePace.Traffic, now: MonotonicTime) -> Bool { pace.mayRead(traffic, now: now) }
    }

    private func at(_ seconds: Double) -> MonotonicTime { MonotonicTime(nanoseconds: Int64(seconds * 1e9)) }

    @Test func readsOnlyAfterASecondOfQuiet() {
        let pace = Asked()
        let idle = IdlePace.Traffic()
        #expect(!pace.mayRead(idle, now: at(0)))
        #expect(!pace.mayRead(idle, now: at(0.9)))
        #expect(pace.mayRead(idle, now: at(1)))
        #expect(pace.mayRead(idle, now: at(1.1)))
    }

    /// A request that runs, and one that came and went between two looks.
    @Test(arguments: [IdlePace.Traffic(running: 1, ended: 5), IdlePace.Traffic(running: 0, ended: 6)])
    func trafficStartsTheQuietAnew(traffic: IdlePace.Traffic) {
        let pace = Asked()
        let idle = IdlePace.Traffic(running: 0, ended: 5)
        _ = pace.mayRead(idle, now: at(0))
        #expect(pace.mayRead(idle, now: at(2)))
        #expect(!pace.mayRead(traffic, now: at(2.1)))
        let after = IdlePace.Traffic(running: 0, ended: traffic.ended)
        #expect(!pace.mayRead(after, now: at(2.2)))
        #expect(!pace.mayRead(after, now: at(3.1)))
        #expect(pace.mayRead(after, now: at(3.3)))
    }

    @Test func restsForNineTimesTheWork() {
        #expect(IdlePace.rest(after: .milliseconds(80), bytes: IdlePace.partSize) == .milliseconds(720))
    }

    @Test func restsForTheRateWhereAPartIsFast() {
        let rest = IdlePace.rest(after: .microseconds(100), bytes: IdlePace.partSize)
        #expect(rest == .nanoseconds(1_000_000_000 / 64) - .microseconds(100))
    }

    @Test(arguments: [Duration.seconds(-5), .seconds(86_400), .zero])
    func boundsTheRestAfterAJumpOfTheClock(work: Duration) {
        let rest = IdlePace.rest(after: work, bytes: 10)
        #expect(rest >= .zero && rest <= .seconds(540))
    }
}
