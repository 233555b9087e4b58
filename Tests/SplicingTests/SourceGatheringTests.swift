import Testing
import Time

@testable import Splicing

struct SourceGatheringTests {
    /// A source with pieces of one size at a steady rate, for 50 ms.
    private func source(pieces size: Int64, perSecond rate: Double) -> SourceGathering {
        var gathering = SourceGathering()
        add(pieces: size, perSecond: rate, to: &gathering, from: 0)
        return gathering
    }

    private func add(
        pieces size: Int64,
        perSecond rate: Double,
        to gathering: inout SourceGathering,
        from start: Double
    ) {
        let step = Double(size) / rate
        for number in 0...Int(0.05 / step) {
            let time = start + Double(number) * step
            gathering.received(size, now: MonotonicTime(nanoseconds: Int64(time * 1e9)))
        }
    }

    @Test func firstBytesGoAtOnce() {
        var gathering = SourceGathering()
        #expect(gathering.lowWater(missing: 1 << 30) == 1)
        gathering.received(100_000, now: .zero)
        gathering.received(100_000, now: .zero + .milliseconds(19))
        #expect(gathering.lowWater(missing: 1 << 30) == 1 && !gathering.isActive)
    }

    @Test func gathersEightMillisecondsOfASteadySource() {
        // 100 Mbit/s.
        let gathering = source(pieces: 5000, perSecond: 12.5e6)
        #expect((90_000...110_000).contains(gathering.lowWater(missing: 1 << 30)))
    }

    @Test(arguments: [25e6, 125e6]) func gathersAtMost192KiB(rate: Double) {
        let lowWater = source(pieces: 25_000, perSecond: rate).lowWater(missing: 1 << 30)
        #expect(lowWater >= 190_000 && lowWater <= 192 << 10)
    }

    /// At 4 Mbit/s 32 KiB would take 64 ms.
    @Test func leavesASlowSourceAlone() {
        #expect(!source(pieces: 1500, perSecond: 500_000).isActive)
    }

    @Test func leavesASourceAloneWhosePiecesAreLarge() {
        #expect(!source(pieces: 200_000, perSecond: 1e9).isActive)
    }

    /// The gathered pieces are large because they were gathered.
    @Test func gathersOnWhenPiecesBecomeLarge() {
        var gathering = source(pieces: 25_000, perSecond: 25e6)
        add(pieces: 192 << 10, perSecond: 25e6, to: &gathering, from: 0.06)
        #expect(gathering.isActive)
    }

    @Test func stopsWhenTheSourceBecomesSlow() {
        var gathering = source(pieces: 25_000, perSecond: 25e6)
        add(pieces: 10_000, perSecond: 500_000, to: &gathering, from: 0.06)
        #expect(!gathering.isActive)
    }

    @Test func waitsForNoMoreThanIsMissing() {
        let gathering = source(pieces: 25_000, perSecond: 25e6)
        #expect(gathering.lowWater(missing: 1000) == 1000)
        #expect(gathering.lowWater(missing: 0) == 1 && gathering.lowWater(missing: -1) == 1)
    }

    @Test func forgetsASourceThatFellSilent() {
        var gathering = source(pieces: 25_000, perSecond: 25e6)
        gathering.fellSilent()
        #expect(!gathering.isActive && gathering == SourceGathering())
    }
}
