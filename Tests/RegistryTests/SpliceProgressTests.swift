import NIOCore
import TestSupport
import Testing

@testable import Registry

/// What is moved next between two sockets, without I/O.
struct SpliceProgressTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    private func make(_ total: Int64 = 1000, fill: Int = 300, isHashed: Bool = false) -> SpliceProgress {
        SpliceProgress(total: total, largestFill: fill, timeout: .seconds(2), isHashed: isHashed, now: start)
    }

    @Test func fillsAndDrainsInTurns() {
        var progress = make(500)
        #expect(progress.step == .fill(300))
        progress.filled(.moved(300), now: start)
        #expect(progress.step == .drain(300))
        progress.drained(.moved(100), now: start)
        #expect(progress.step == .drain(200))
        progress.drained(.moved(200), now: start)
        // The peer has only as much left as belongs to this body.
        #expect(progress.step == .fill(200))
        progress.filled(.moved(200), now: start)
        progress.drained(.moved(200), now: start)
        #expect(progress.step == .end(.complete))
    }

    @Test func lessThanWasWantedIsAllForNow() {
        var progress = make()
        progress.filled(.moved(10), now: start)
        progress.drained(.moved(10), now: start)
        #expect(progress.step == .waitForPeer)
        progress.peerBecameReady()
        #expect(progress.step == .fill(300))
        progress.filled(.wouldBlock, now: start)
        #expect(progress.step == .waitForPeer)
    }

    @Test(arguments: [SpliceProgress.Outcome.closed, .moved(0), .failed(104)])
    func whatAPeerHasSentGoesOutBeforeItsEnd(outcome: SpliceProgress.Outcome) {
        var progress = make()
        progress.filled(.moved(300), now: start)
        progress.drained(.wouldBlock, now: start)
        #expect(progress.step == .waitForClient)
        progress.clientBecameReady()
        progress.drained(.moved(300), now: start)
        #expect(progress.step == .fill(300))
        progress.filled(outcome, now: start)
        #expect(progress.step == .end(outcome == .failed(104) ? .peerFailed(104) : .peerClosed))
        #expect(progress.given == 300 && progress.taken == 300)
    }

    @Test func onlyAClientThatTakesMakesAPeerLate() {
        var progress = make()
        #expect(progress.deadline == start + .seconds(2))
        progress.filled(.moved(300), now: start + .seconds(1))
        progress.drained(.wouldBlock, now: start + .seconds(1))
        #expect(progress.deadline == nil)
        progress.timePassed(now: start + .seconds(60))
        progress.clientBecameReady()
        progress.drained(.moved(300), now: start + .seconds(60))
        #expect(progress.deadline == start + .seconds(62))
        progress.timePassed(now: start + .seconds(61))
        progress.filled(.wouldBlock, now: start + .seconds(61))
        #expect(progress.step == .waitForPeer)
        progress.timePassed(now: start + .seconds(62))
        #expect(progress.step == .end(.stalled))
    }

    @Test func aClientThatFailsEndsIt() {
        var progress = make()
        progress.filled(.moved(300), now: start)
        progress.drained(.failed(32), now: start)
        #expect(progress.step == .end(.clientFailed(32)))
        progress.stop()
        #expect(progress.step == .end(.clientFailed(32)))
        var other = make()
        other.stop()
        #expect(other.step == .end(.stopped) && other.deadline == nil)
    }

    @Test(arguments: [true, false]) func whatIsHashedLeavesAfterThat(matches: Bool) {
        var progress = make(500, isHashed: true)
        progress.filled(.moved(300), now: start)
        #expect(progress.step == .hash(300))
        // Whatever was hashed may go; the rest is hashed when that has gone.
        progress.hashed(.moved(200))
        #expect(progress.step == .drain(200))
        progress.drained(.moved(200), now: start)
        #expect(progress.step == .hash(100))
        progress.hashed(.moved(100))
        progress.drained(.moved(100), now: start)
        progress.filled(.moved(200), now: start)
        progress.hashed(.moved(200))
        #expect(progress.step == .check && progress.given == 300)
        progress.checked(matches: matches)
        #expect(progress.step == (matches ? .drain(200) : .end(.corrupt)))
        progress.drained(.moved(200), now: start)
        #expect(progress.step == .end(matches ? .complete : .corrupt))
        #expect(progress.given == (matches ? 500 : 300))
    }

    @Test(arguments: [SpliceProgress.Outcome.failed(12), .wouldBlock, .closed, .moved(0), .moved(301)])
    func whatCannotBeHashedDoesNotLeave(outcome: SpliceProgress.Outcome) {
        var progress = make(500, isHashed: true)
        progress.filled(.moved(300), now: start)
        progress.hashed(outcome)
        #expect(progress.step == .end(.hashFailed(outcome == .failed(12) ? 12 : 0)) && progress.given == 0)
    }

    /// Whatever the sockets do and whenever, no byte is lost or made up, the pipe has a bound, and there is an end.
    @Test(arguments: 0..<32)
    func countsEveryByte(batch: Int) {
        for number in 0..<100 {
            let seed = UInt64(batch * 1000 + number)
            var random = SeededGenerator(seed: seed)
            let problem = run(&random)
            #expect(problem == nil, "seed \(seed): \(problem ?? "")")
        }
    }

    private func run(_ random: inout SeededGenerator) -> String? {
        let total = Int64.random(in: 1...5000, using: &random)
        let fill = Int.random(in: 1...700, using: &random)
        let isHashed = Bool.random(using: &random)
        let isCorrupt = isHashed && Bool.random(using: &random)
        var progress = make(total, fill: fill, isHashed: isHashed)
        var now = start
        // What the peer will ever send, and what the client takes before it fails.
        var atPeer = Bool.random(using: &random) ? total : Int64.random(in: 0...total, using: &random)
        var room = Bool.random(using: &random) ? Int64.max : Int64.random(in: 0...total, using: &random)
        var taken: Int64 = 0
        var given: Int64 = 0
        var hashed: Int64 = 0
        var isChecked = false
        for _ in 0..<100_000 {
            now = now + .milliseconds(Int64.random(in: 0...50, using: &random))
            if taken != progress.taken || given != progress.given { return "the count is wrong" }
            if progress.piped > Int64(fill) || progress.piped < 0 { return "the pipe has \(progress.piped) bytes" }
            switch progress.step {
            case .fill(let count):
                if count < 1 || count > fill || taken + Int64(count) > total { return "\(count) bytes are asked for" }
                if given != taken { return "a pipe that is not empty is filled" }
                let isQuiet = Int.random(in: 0..<3, using: &random) == 0
                let moved = min(Int64.random(in: 1...Int64(count), using: &random), atPeer)
                if isQuiet {
                    progress.filled(.wouldBlock, now: now)
                } else if moved == 0 {
                    progress.filled([.closed, .failed(104)].randomElement(using: &random) ?? .closed, now: now)
                } else {
                    atPeer -= moved
                    taken += moved
                    progress.filled(.moved(Int(moved)), now: now)
                }
            case .hash(let count):
                if !isHashed || hashed != given || Int64(count) != taken - given { return "\(count) bytes are hashed" }
                let moved = Int64.random(in: 1...Int64(count), using: &random)
                hashed += moved
                progress.hashed(.moved(Int(moved)))
            case .check:
                if !isHashed || isChecked || hashed != total || given == total { return "a check at the wrong time" }
                isChecked = true
                progress.checked(matches: !isCorrupt)
            case .drain(let count):
                if Int64(count) != (isHashed ? hashed : taken) - given { return "\(count) bytes are given" }
                if isHashed, hashed == total, !isChecked { return "the end is given before it was checked" }
                let moved = min(Int64.random(in: 0...Int64(count), using: &random), room)
                if room == 0 {
                    progress.drained(.failed(32), now: now)
                } else if moved == 0 {
                    progress.drained(.wouldBlock, now: now)
                } else {
                    room -= moved
                    given += moved
                    progress.drained(.moved(Int(moved)), now: now)
                }
            case .waitForPeer:
                guard let deadline = progress.deadline else { return "nothing bounds the wait for the peer" }
                if Bool.random(using: &random) {
                    progress.peerBecameReady()
                } else if Int.random(in: 0..<20, using: &random) == 0 {
                    now = max(now, deadline)
                    progress.timePassed(now: now)
                    if progress.step != .end(.stalled) { return "a stall goes unseen" }
                } else {
                    progress.timePassed(now: now)
                }
            case .waitForClient:
                if progress.deadline != nil { return "a peer is blamed for the client" }
                progress.clientBecameReady()
            case .end(let end):
                switch end {
                case .complete:
                    if isChecked != isHashed || isCorrupt { return "it is complete without a check" }
                    return given == total && taken == total ? nil : "bytes are missing"
                case .corrupt: return isCorrupt && isChecked && given < total ? nil : "it is not corrupt"
                case .hashFailed: return "all could be hashed"
                case .peerClosed, .peerFailed, .stalled:
                    return given == taken && taken < total ? nil : "bytes are left in the pipe"
                case .clientFailed: return room == 0 ? nil : "the client has not failed"
                case .stopped: return "nobody has stopped it"
                }
            }
        }
        return "there is no end"
    }
}
