import NIOCore
import TestSupport
import Testing

@testable import Registry

struct RateLimitTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    /// However bytes are asked for, no more than the burst goes beyond the rate, and no time is wasted.
    @Test func theRateHolds() {
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<100 {
            let rate = Int.random(in: 1000...1_000_000_000, using: &random)
            var limit = RateLimit(bytesPerSecond: rate)
            var now = start
            var granted = 0.0
            var last = start
            for _ in 0..<200 {
                if Bool.random(using: &random) { now = max(now, last) }
                now = now + .nanoseconds(Int64.random(in: 0...20_000_000, using: &random))
                let count = Int.random(in: 0...rate / 10, using: &random)
                let moment = limit.grant(count, now: now)
                #expect(moment >= now && moment >= last - .nanoseconds(1), "seed \(seed)")
                let elapsed = Double((moment - start).nanoseconds) / 1e9
                // What was granted before has gone at the rate by then, but for the burst.
                #expect(granted <= (elapsed + 0.1) * Double(rate) + 200, "seed \(seed)")
                granted += Double(count)
                last = max(last, moment)
            }
        }
    }

    @Test func whoAsksForChunksInTurnGetsTheSame() {
        var limit = RateLimit(bytesPerSecond: 1_000_000)
        // Each asks for its next chunk when the one before has gone.
        var next = [NIODeadline](repeating: start, count: 7)
        var counts = [Int](repeating: 0, count: 7)
        for _ in 0..<700 {
            // Whoever comes first asks first; of those that come at the same moment, any.
            guard let index = next.indices.min(by: { (next[$0], counts[$0]) < (next[$1], counts[$1]) }) else { break }
            next[index] = limit.grant(10_000, now: next[index])
            counts[index] += 1
        }
        #expect(counts.allSatisfy { (98...102).contains($0) }, "\(counts)")
    }

    @Test func aRestEarnsNoMoreThanTheBurst() {
        var limit = RateLimit(bytesPerSecond: 1_000_000)
        let first = limit.grant(50_000, now: start)
        let second = limit.grant(50_000, now: start)
        let third = limit.grant(1, now: start + .milliseconds(1))
        let later = limit.grant(1, now: start + .hours(1))
        #expect(first == start && second == start && third == start + .milliseconds(1))
        #expect(later == start + .hours(1))
        let large = limit.grant(.max, now: start + .hours(1))
        let afterwards = limit.grant(1, now: start + .hours(1))
        #expect(large == start + .hours(1) && afterwards > start + .hours(24))
    }

    @Test(arguments: [100_000, 1_000_000, 125_000_000, 1_000_000_000_000])
    func noTransferWaitsForItsChunkForLong(rate: Int) {
        let limiter = RateLimiter(bytesPerSecond: rate, maximumTransfers: 256)
        #expect((1...256).contains(limiter.transfers))
        #expect((16 << 10...128 << 10).contains(limiter.chunk))
        // Less than what another node takes for a stall.
        #expect(Double(limiter.transfers * limiter.chunk) / Double(rate) <= 0.5)
    }
}
