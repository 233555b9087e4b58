import TestSupport
import Testing
import Time

@testable import Mirroring

/// When a transfer leaves a provider that is far slower than usual.
struct SourceRateTests {
    private let start = MonotonicTime(nanoseconds: 5)
    private let megabit = 125_000.0

    /// Bytes that come at a rate for each moment, sampled as a caller does it.
    private struct Source {
        var rate = SourceRate()
        var bytes = 0.0
        var now: MonotonicTime
        var size = 100_000_000.0

        init(now: MonotonicTime) {
            self.now = now
            rate.begin(bytes: 0, now: now)
        }

        /// - Returns: how long it took until the provider was to be left, within a time.
        mutating func run(
            at speed: Double,
            for time: Duration,
            expected: Double,
            isHindered: Bool = false
        ) -> Duration? {
            let began = now
            while now < began + time, bytes < size {
                now = now + SourceRate.interval
                bytes = min(size, bytes + speed / 2)
                let leaves = rate.sample(
                    bytes: Int64(bytes),
                    isHindered: isHindered,
                    rest: Int64(size - bytes),
                    expected: expected,
                    now: now
                )
                if leaves { return now - began }
            }
            return nil
        }
    }

    @Test func leavesAProviderThatTurnsSlowWithinTwoSeconds() throws {
        for turn in 0..<12 {
            var source = Source(now: start)
            let fast = source.run(at: 100 * megabit, for: .milliseconds(500 * turn), expected: 100 * megabit)
            #expect(fast == nil)
            let time = source.run(at: 4 * megabit, for: .seconds(60), expected: 100 * megabit)
            #expect(try #require(time) <= .seconds(2))
        }
    }

    @Test(arguments: 0..<500)
    func neverLeavesWithoutAReason(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let expected = Double.random(in: 1e5...1e9, using: &random)
        var source = Source(now: start)
        source.size = expected * 60
        for _ in 0..<10 {
            // Never below a quarter; or hindered; or silent.
            let (speed, isHindered) =
                switch Int.random(in: 0..<3, using: &random) {
                case 0: (expected * Double.random(in: 0.26...2, using: &random), false)
                case 1: (expected * Double.random(in: 0...0.2, using: &random), true)
                default: (0.0, false)
                }
            let time = source.run(at: speed, for: .seconds(2), expected: expected, isHindered: isHindered)
            #expect(time == nil, "seed \(seed)")
        }
    }

    @Test func silenceIsNotSlowness() {
        var source = Source(now: start)
        #expect(source.run(at: 100 * megabit, for: .seconds(3), expected: 100 * megabit) == nil)
        #expect(source.run(at: 0, for: .seconds(30), expected: 100 * megabit) == nil)
    }

    @Test func shortRestIsNotWorthTheChange() {
        var source = Source(now: start)
        source.size = 1_500_000
        #expect(source.run(at: 4 * megabit, for: .seconds(60), expected: 100 * megabit) == nil)
    }

    @Test func leavesTwiceAtMost() {
        var source = Source(now: start)
        var leaves = 0
        for _ in 0..<20 {
            guard source.run(at: 4 * megabit, for: .seconds(5), expected: 100 * megabit) != nil else { continue }
            leaves += 1
            source.rate.end(wasLeft: true)
            source.rate.begin(bytes: Int64(source.bytes), now: source.now)
        }
        #expect(leaves == SourceRate.maximumLeaves && source.rate.leaves == leaves)
    }

    @Test func slowProviderThatWasLeftSaysNothingOfTheUsualRate() {
        var source = Source(now: start)
        #expect(source.rate.measured == nil)
        _ = source.run(at: 80 * megabit, for: .seconds(2), expected: 100 * megabit)
        #expect(source.rate.measured.map { abs($0 - 80 * megabit) < megabit } == true)
        source.rate.end()
        #expect(source.rate.measured != nil && source.rate.nextSample == nil)
        source.rate.begin(bytes: Int64(source.bytes), now: source.now)
        _ = source.run(at: 4 * megabit, for: .seconds(2), expected: 100 * megabit)
        source.rate.end(wasLeft: true)
        #expect(source.rate.measured == nil)
    }

    @Test func usualRateIsThatOfTheLink() {
        var usual = UsualRate()
        #expect(usual.share(bodies: 1) == UsualRate.initial && usual.share(bodies: 0) == UsualRate.initial)
        for _ in 0..<100 {
            // Three bodies at a time, with unequal shares of 100.
            for share in [20.0, 30, 50] { usual.add(share, bodies: 3) }
        }
        #expect(abs(usual.share(bodies: 1) - 100) < 25)
        #expect(usual.share(bodies: 4) * 4 == usual.share(bodies: 1))
        usual.add(.nan, bodies: 1)
        usual.add(.infinity, bodies: 1)
        usual.add(-1, bodies: 1)
        #expect(usual.share(bodies: 1).isFinite && usual.share(bodies: 1) > 0)
    }
}
