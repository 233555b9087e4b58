import Testing
import Time

@Suite struct MonotonicTimeTests {
    @Test func staysWithinWhatCanBeRepresented() {
        let late = MonotonicTime(nanoseconds: .max - 1)
        #expect(late + .seconds(1) == MonotonicTime(nanoseconds: .max))
        #expect(late - MonotonicTime(nanoseconds: -10) == .nanoseconds(Int64.max))
    }

    @Test func systemClockNeverGoesBack() {
        let first = MonotonicTime.now
        #expect(first <= MonotonicTime.now)
        #expect(first > .zero)
    }
}
