import NIOCore
import Testing
import Time

@testable import LibP2P

@Suite struct KeepAliveTests {
    private func at(_ seconds: Int64) -> MonotonicTime { .zero + .seconds(seconds) }

    private func keepAlive() -> KeepAlive {
        KeepAlive(interval: .seconds(30), timeout: .seconds(10), idleTimeout: .seconds(100))
    }

    @Test func pingsSilentPeerThenGivesUp() {
        var keepAlive = keepAlive()
        #expect(keepAlive.tick(now: at(30), isUnused: false) == .ping(.seconds(10)))
        #expect(keepAlive.tick(now: at(36), isUnused: false) == .wait(.seconds(4)))
        #expect(keepAlive.tick(now: at(40), isUnused: false) == .closeDead)
    }

    @Test func receivedBytesProveLife() {
        var keepAlive = keepAlive()
        #expect(keepAlive.tick(now: at(30), isUnused: false) == .ping(.seconds(10)))
        keepAlive.received()
        #expect(keepAlive.tick(now: at(41), isUnused: false) == .wait(.seconds(30)))
        #expect(keepAlive.tick(now: at(71), isUnused: false) == .ping(.seconds(10)))
    }

    @Test func unusedConnectionEndsAfterIdleTimeout() {
        var keepAlive = keepAlive()
        for time in stride(from: Int64(0), to: 100, by: 20) {
            keepAlive.received()
            #expect(keepAlive.tick(now: at(time), isUnused: true) == .wait(.seconds(30)))
        }
        #expect(keepAlive.tick(now: at(100), isUnused: true) == .closeIdle)
    }

    @Test func useRestartsIdleTime() {
        var keepAlive = keepAlive()
        keepAlive.received()
        _ = keepAlive.tick(now: at(0), isUnused: true)
        // Used and released between two ticks.
        keepAlive.used()
        keepAlive.received()
        #expect(keepAlive.tick(now: at(100), isUnused: true) == .wait(.seconds(30)))
        keepAlive.received()
        #expect(keepAlive.tick(now: at(150), isUnused: false) == .wait(.seconds(30)))
        keepAlive.received()
        #expect(keepAlive.tick(now: at(240), isUnused: true) == .wait(.seconds(30)))
        #expect(keepAlive.tick(now: at(340), isUnused: true) == .closeIdle)
    }

    @Test func roundTripIsThatOfLastPing() {
        var keepAlive = keepAlive()
        #expect(keepAlive.ponged(0, now: at(1)) == nil)
        keepAlive.pinged(7, now: at(1))
        #expect(keepAlive.ponged(6, now: at(2)) == nil)
        #expect(keepAlive.ponged(7, now: at(3)) == .seconds(2))
        #expect(keepAlive.ponged(7, now: at(4)) == nil)
    }
}
