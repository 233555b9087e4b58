import Mirroring
import TestSupport
import Testing
import Time

struct RateLimitTests {
    private let start = MonotonicTime(nanoseconds: 1_000_000_000_000)

    /// However bytes are asked for, no more than the burst goes beyond the rate, and no time is wasted.
    @Test func rateIsKept() {
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
                #expect(moment >= now && moment + .nanoseconds(1) >= last, "seed \(seed)")
                let elapsed = (moment - start) / .seconds(1)
                // What was granted before has gone at the rate by then, but for the burst.
                #expect(granted <= (elapsed + 0.1) * Double(rate) + 200, "seed \(seed)")
                granted += Double(count)
                last = max(last, moment)
                #expect(limit.checkInvariants(now: now), "seed \(seed)")
            }
        }
    }

    @Test func transfersThatAskInTurnGetTheSame() {
        var limit = RateLimit(bytesPerSecond: 1_000_000)
        // Each asks for its next chunk when the one before has gone.
        var next = [MonotonicTime](repeating: start, count: 7)
        var counts = [Int](repeating: 0, count: 7)
        for _ in 0..<700 {
            // The first to come asks first; of those that come at the same time, any.
            guard let index = next.indices.min(by: { (next[$0], counts[$0]) < (next[$1], counts[$1]) }) else { break }
            next[index] = limit.grant(10_000, now: next[index])
            counts[index] += 1
        }
        #expect(counts.allSatisfy { (98...102).contains($0) }, "\(counts)")
    }

    @Test func restEarnsNoMoreThanTheBurst() {
        var limit = RateLimit(bytesPerSecond: 1_000_000)
        let first = limit.grant(50_000, now: start)
        let second = limit.grant(50_000, now: start)
        let third = limit.grant(1, now: start + .milliseconds(1))
        let later = limit.grant(1, now: start + .seconds(3600))
        #expect(first == start && second == start && third == start + .milliseconds(1))
        #expect(later == start + .seconds(3600))
        let large = limit.grant(.max, now: start + .seconds(3600))
        let afterwards = limit.grant(1, now: start + .seconds(3600))
        #expect(large == start + .seconds(3600) && afterwards > start + .seconds(86_400))
    }

    @Test(arguments: [100_000, 1_000_000, 125_000_000, 1_000_000_000_000])
    func noTransferWaitsLongForItsChunk(rate: Int) {
        let limit = RateLimit(bytesPerSecond: rate, maximumTransfers: 256)
        #expect((1...256).contains(limit.transfers))
        #expect((16 << 10...128 << 10).contains(limit.chunk))
        // Less than what another node takes for a stall.
        #expect(Double(limit.transfers * limit.chunk) / Double(rate) <= 0.5)
    }
}
