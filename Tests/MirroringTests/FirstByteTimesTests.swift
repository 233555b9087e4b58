import Mirroring
import Testing

struct FirstByteTimesTests {
    @Test func hedgeDelayFollowsWhatIsSeen() {
        var times = FirstByteTimes()
        #expect(times.hedgeDelay == FirstByteTimes.initialDelay)
        for _ in 0..<100 { times.add(.microseconds(500)) }
        #expect(times.hedgeDelay == FirstByteTimes.bounds.lowerBound)
        for number in 0..<100 { times.add(.milliseconds(number % 2 == 0 ? 60 : 100)) }
        #expect(times.hedgeDelay > .milliseconds(100) && times.hedgeDelay < .milliseconds(300))
        for _ in 0..<100 { times.add(.seconds(60)) }
        #expect(times.hedgeDelay == FirstByteTimes.bounds.upperBound)
        times.add(.nanoseconds(-1))
        for _ in 0..<100 { times.add(.seconds(Int64.max)) }
        #expect(times.hedgeDelay == FirstByteTimes.bounds.upperBound)
    }
}
