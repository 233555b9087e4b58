import NIOCore
import Testing

@testable import Registry

struct AnswerProgressTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    @Test func timeCountsOnlyWhileNothingLeaves() {
        var progress = AnswerProgress(now: start)
        #expect(progress.look(waiting: 0, now: start + .seconds(1)) == .seconds(1))
        progress.add(100)
        // All of it waits in the channel.
        #expect(progress.look(waiting: 100, now: start + .seconds(2)) == .seconds(2))
        #expect(progress.look(waiting: 40, now: start + .seconds(3)) == nil)
        #expect(progress.left == 60 && progress.sent == 100)
        #expect(progress.look(waiting: 40, now: start + .seconds(5)) == .seconds(2))
    }

    @Test func bytesPastTheChannelCountOnce() {
        var progress = AnswerProgress(now: start)
        progress.add(10)
        // The kernel has moved 90 bytes that the exchange does not know of yet.
        #expect(progress.look(waiting: -90, now: start + .seconds(1)) == nil)
        #expect(progress.left == 100)
        progress.addPastChannel(90)
        #expect(progress.sent == 100 && progress.left == 100)
        #expect(progress.look(waiting: 0, now: start + .seconds(2)) == .seconds(1))
    }

    @Test func waitOutsideOfStoreDoesNotCount() {
        var progress = AnswerProgress(now: start)
        progress.restart(now: start + .seconds(8))
        #expect(progress.look(waiting: 0, now: start + .seconds(9)) == .seconds(1))
    }
}
