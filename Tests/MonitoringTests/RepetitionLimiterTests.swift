import TestSupport
import Testing
import Time

@testable import Monitoring

struct RepetitionLimiterTests {
    var limits: RepetitionLimiter.Limits {
        var limits = RepetitionLimiter.Limits()
        limits.window = .seconds(60)
        limits.linesPerMessage = 3
        limits.messages = 4
        return limits
    }

    @Test func theSameLineIsWrittenOnceAndThenCounted() {
        var limiter = RepetitionLimiter(limits: limits)
        #expect(limiter.admit("m", details: 1, now: .zero).isWritten)
        for second in 1...59 { #expect(!limiter.admit("m", details: 1, now: .zero + .seconds(second)).isWritten) }
        #expect(limiter.expire(now: .zero + .seconds(59)).isEmpty)
        let summary = RepetitionLimiter.Summary(message: "m", count: 59, duration: .seconds(60))
        #expect(limiter.expire(now: .zero + .seconds(60)) == [summary])
        #expect(limiter.messageCount == 0)
        #expect(limiter.admit("m", details: 1, now: .zero + .seconds(61)).isWritten)
    }

    @Test func theNextLineEndsAWindowWhoseTimeIsOver() {
        var limiter = RepetitionLimiter(limits: limits)
        _ = limiter.admit("m", details: 1, now: .zero)
        _ = limiter.admit("m", details: 1, now: .zero + .seconds(1))
        let (isWritten, before) = limiter.admit("m", details: 1, now: .zero + .seconds(90))
        #expect(isWritten)
        #expect(before == [RepetitionLimiter.Summary(message: "m", count: 1, duration: .seconds(90))])
    }

    @Test func aFewDifferentLinesWithOneMessageAreWritten() {
        var limiter = RepetitionLimiter(limits: limits)
        let written = (0..<10).map { limiter.admit("m", details: $0, now: .zero).isWritten }
        #expect(written == [true, true, true] + Array(repeating: false, count: 7))
        #expect(limiter.admit("another", details: 1, now: .zero).isWritten)
        #expect(limiter.finish(now: .zero + .seconds(5)).map(\.count) == [7])
    }

    @Test func memoryIsBoundedAndEachLineCounts() {
        var generator = SeededGenerator()
        let seed = generator.seed
        var limiter = RepetitionLimiter(limits: limits)
        var written = 0
        var told = 0
        var now = MonotonicTime.zero
        for _ in 0..<5000 {
            now = now + .milliseconds(Int.random(in: 0...3000, using: &generator))
            let message = "m\(Int.random(in: 0..<12, using: &generator))"
            let (isWritten, before) = limiter.admit(
                message,
                details: Int.random(in: 0..<6, using: &generator),
                now: now
            )
            if isWritten { written += 1 }
            told += before.map(\.count).reduce(0, +)
            #expect(limiter.messageCount <= 4, "seed \(seed)")
            if Bool.random(using: &generator) { told += limiter.expire(now: now).map(\.count).reduce(0, +) }
        }
        told += limiter.finish(now: now).map(\.count).reduce(0, +)
        #expect(written + told == 5000, "seed \(seed)")
    }
}
