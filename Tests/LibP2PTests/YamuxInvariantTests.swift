import NIOCore
import Testing

@testable import LibP2P

/// Each invariant of a session fails when the state that it is about is broken.
@Suite struct YamuxInvariantTests {
    private func violation(_ damage: (inout YamuxSession, UInt32) -> Void) throws -> String? {
        var session = YamuxSession(role: .dialer)
        let id = try session.openStream()
        var bytes = ByteBuffer(repeating: 7, count: 100)
        _ = try session.write(&bytes, to: id)
        #expect(session.checkInvariants() == nil)
        damage(&session, id)
        return session.checkInvariants()
    }

    @Test func brokenCountsAreFound() throws {
        #expect(try violation { session, _ in session.inboundCount += 1 } == "inbound streams are miscounted")
        #expect(
            try violation { session, _ in session.unacknowledgedCount = 0 } == "unacknowledged streams are miscounted"
        )
        #expect(try violation { session, _ in session.queuedBytes -= 1 } == "queued bytes are miscounted")
        #expect(try violation { session, _ in session.windowGrowth = 1 } == "window growth is miscounted")
    }

    @Test func brokenStreamsAreFound() throws {
        #expect(try violation { session, _ in session.round.removeAll() } == "turns are miscounted")
        #expect(
            try violation { session, id in
                session.round.removeAll()
                session.streams[id]?.isScheduled = false
            } == "stream 1: a frame waits for no turn"
        )
        #expect(
            try violation { $0.streams[$1]?.isWriterWaiting = true } == "stream 1: a writer waits though there is room"
        )
        #expect(try violation { $0.streams[$1]?.consumed = 1 } == "stream 1: the receive window is too large")
        #expect(try violation { $0.streams[$1]?.isFinishSent = true } == "stream 1: the end came too early")
    }

    @Test func failedSessionWithStreamsIsFound() throws {
        #expect(
            try violation { session, _ in session.failure = .goingAway } == "a failed session has streams"
        )
    }
}
