import TestSupport
import Testing
import Time

@testable import Splicing

/// The steps of a transfer, without I/O.
struct SpliceProgressTests {
    private let start = MonotonicTime(nanoseconds: 1_000_000_000)

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
        // No more than the rest of the transfer: further bytes of the source belong to its next answer.
        #expect(progress.step == .fill(200))
        progress.filled(.moved(200), now: start)
        progress.drained(.moved(200), now: start)
        #expect(progress.step == .end(.complete))
    }

    @Test func waitsForTheSourceAfterAShortFill() {
        var progress = make()
        progress.filled(.moved(10), now: start)
        progress.drained(.moved(10), now: start)
        #expect(progress.step == .waitForSource)
        progress.sourceBecameReady()
        #expect(progress.step == .fill(300))
        progress.filled(.wouldBlock, now: start)
        #expect(progress.step == .waitForSource)
    }

    @Test(arguments: [MoveOutcome.closed, .moved(0), .failed(104)])
    func deliversAllReceivedBytesBeforeTheSourceEnds(outcome: MoveOutcome) {
        var progress = make()
        progress.filled(.moved(300), now: start)
        progress.drained(.wouldBlock, now: start)
        #expect(progress.step == .waitForDestination)
        progress.destinationBecameReady()
        progress.drained(.moved(300), now: start)
        #expect(progress.step == .fill(300))
        progress.filled(outcome, now: start)
        #expect(progress.step == .end(outcome == .failed(104) ? .sourceFailed(104) : .sourceClosed))
        #expect(progress.delivered == 300 && progress.received == 300)
    }

    @Test func sourceReadyBeforeTheDestinationIsRead() {
        var progress = make()
        progress.filled(.moved(10), now: start)
        progress.drained(.wouldBlock, now: start)
        progress.sourceBecameReady()
        #expect(progress.step == .waitForDestination)
        progress.destinationBecameReady()
        progress.drained(.moved(10), now: start)
        #expect(progress.step == .fill(300))
    }

    @Test func deadlineAppliesOnlyWhileTheDestinationAcceptsBytes() {
        var progress = make()
        #expect(progress.deadline == start + .seconds(2))
        progress.filled(.moved(300), now: start + .seconds(1))
        progress.drained(.wouldBlock, now: start + .seconds(1))
        #expect(progress.deadline == nil)
        progress.timePassed(now: start + .seconds(60))
        progress.destinationBecameReady()
        progress.drained(.moved(300), now: start + .seconds(60))
        #expect(progress.deadline == start + .seconds(62))
        progress.timePassed(now: start + .seconds(61))
        progress.filled(.wouldBlock, now: start + .seconds(61))
        #expect(progress.step == .waitForSource)
        progress.timePassed(now: start + .seconds(62))
        #expect(progress.step == .end(.stalled))
    }

    @Test func endsWhenTheDestinationFails() {
        var progress = make()
        progress.filled(.moved(300), now: start)
        progress.drained(.failed(32), now: start)
        #expect(progress.step == .end(.destinationFailed(32)))
        progress.stop()
        #expect(progress.step == .end(.destinationFailed(32)))
        var other = make()
        other.stop()
        #expect(other.step == .end(.stopped) && other.deadline == nil)
    }

    @Test(arguments: [false, true]) func stopsOnceThePipeIsEmpty(isHashed: Bool) {
        var progress = make(isHashed: isHashed)
        progress.filled(.moved(300), now: start)
        progress.stopWhenEmpty()
        if isHashed { progress.hashed(.moved(300)) }
        progress.drained(.wouldBlock, now: start)
        progress.destinationBecameReady()
        progress.drained(.moved(100), now: start)
        #expect(progress.step == .drain(200))
        progress.drained(.moved(200), now: start)
        #expect(progress.step == .end(.stopped) && progress.delivered == 300 && progress.received == 300)
        // With an empty pipe at once.
        var other = make(isHashed: isHashed)
        other.stopWhenEmpty()
        #expect(other.step == .end(.stopped))
        // A transfer whose last bytes are on their way completes.
        var last = make(100)
        last.filled(.moved(100), now: start)
        last.stopWhenEmpty()
        last.drained(.moved(100), now: start)
        #expect(last.step == .end(.complete))
    }

    @Test(arguments: [true, false]) func hashesBytesBeforeTheyLeave(matches: Bool) {
        var progress = make(500, isHashed: true)
        progress.filled(.moved(300), now: start)
        #expect(progress.step == .hash(300))
        // Hashed bytes may leave; the rest of the pipe is hashed after that.
        progress.hashed(.moved(200))
        #expect(progress.step == .drain(200))
        progress.drained(.moved(200), now: start)
        #expect(progress.step == .hash(100))
        progress.hashed(.moved(100))
        progress.drained(.moved(100), now: start)
        progress.filled(.moved(200), now: start)
        progress.hashed(.moved(200))
        #expect(progress.step == .verify && progress.delivered == 300)
        progress.verified(matches: matches)
        #expect(progress.step == (matches ? .drain(200) : .end(.digestMismatch)))
        progress.drained(.moved(200), now: start)
        #expect(progress.step == .end(matches ? .complete : .digestMismatch))
        #expect(progress.delivered == (matches ? 500 : 300))
    }

    @Test(arguments: [MoveOutcome.failed(12), .wouldBlock, .closed, .moved(0), .moved(301)])
    func unhashedBytesDoNotLeave(outcome: MoveOutcome) {
        var progress = make(500, isHashed: true)
        progress.filled(.moved(300), now: start)
        progress.hashed(outcome)
        #expect(progress.step == .end(.hashFailed(outcome == .failed(12) ? 12 : 0)) && progress.delivered == 0)
    }

    @Test func emptyTransferCompletesAtOnce() {
        #expect(make(0).step == .end(.complete))
        #expect(make(-1).step == .end(.complete))
        var hashed = make(0, isHashed: true)
        #expect(hashed.step == .verify)
        hashed.verified(matches: false)
        #expect(hashed.step == .end(.digestMismatch))
    }

    /// Whatever the sockets do and whenever: every byte is counted once, the pipe has a bound, and the transfer ends.
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
        let isWrong = isHashed && Bool.random(using: &random)
        let isStopped = Int.random(in: 0..<8, using: &random) == 0
        var progress = make(total, fill: fill, isHashed: isHashed)
        var now = start
        // The bytes that the source sends before its end, and that the destination accepts before it fails.
        var atSource = Bool.random(using: &random) ? total : Int64.random(in: 0...total, using: &random)
        var room = Bool.random(using: &random) ? Int64.max : Int64.random(in: 0...total, using: &random)
        var received: Int64 = 0
        var delivered: Int64 = 0
        var hashed: Int64 = 0
        var isVerified = false
        for _ in 0..<100_000 {
            now = now + .milliseconds(Int64.random(in: 0...50, using: &random))
            if let violated = progress.checkInvariants() { return "invariant violated: \(violated)" }
            if received != progress.received || delivered != progress.delivered { return "wrong count" }
            if progress.piped > Int64(fill) || progress.piped < 0 { return "\(progress.piped) bytes in the pipe" }
            // Events that come at any time.
            switch Int.random(in: 0..<20, using: &random) {
            case 0: progress.sourceBecameReady()
            case 1: progress.destinationBecameReady()
            case 2 where isStopped: progress.stop()
            case 3 where isStopped: progress.stopWhenEmpty()
            default: break
            }
            if let violated = progress.checkInvariants() { return "invariant violated: \(violated)" }
            switch progress.step {
            case .fill(let count):
                if count < 1 || count > fill || received + Int64(count) > total { return "fill of \(count) bytes" }
                if delivered != received { return "fill of a pipe that is not empty" }
                let isQuiet = Int.random(in: 0..<3, using: &random) == 0
                let moved = min(Int64.random(in: 1...Int64(count), using: &random), atSource)
                if isQuiet {
                    progress.filled(.wouldBlock, now: now)
                } else if moved == 0 {
                    progress.filled([.closed, .failed(104)].randomElement(using: &random) ?? .closed, now: now)
                } else {
                    atSource -= moved
                    received += moved
                    progress.filled(.moved(Int(moved)), now: now)
                }
            case .hash(let count):
                if !isHashed || hashed != delivered || Int64(count) != received - delivered {
                    return "hash of \(count) bytes"
                }
                let moved = Int64.random(in: 1...Int64(count), using: &random)
                hashed += moved
                progress.hashed(.moved(Int(moved)))
            case .verify:
                if !isHashed || isVerified || hashed != total || delivered == total {
                    return "verified at the wrong time"
                }
                isVerified = true
                progress.verified(matches: !isWrong)
            case .drain(let count):
                if Int64(count) != (isHashed ? hashed : received) - delivered { return "drain of \(count) bytes" }
                if isHashed, hashed == total, !isVerified { return "the last bytes leave unverified" }
                let moved = min(Int64.random(in: 0...Int64(count), using: &random), room)
                if room == 0 {
                    progress.drained(.failed(32), now: now)
                } else if moved == 0 {
                    progress.drained(.wouldBlock, now: now)
                } else {
                    room -= moved
                    delivered += moved
                    progress.drained(.moved(Int(moved)), now: now)
                }
            case .waitForSource:
                guard let deadline = progress.deadline else { return "no deadline while waiting for the source" }
                if Bool.random(using: &random) {
                    progress.sourceBecameReady()
                } else if Int.random(in: 0..<20, using: &random) == 0 {
                    now = max(now, deadline)
                    progress.timePassed(now: now)
                    if progress.step != .end(.stalled) { return "no stall at the deadline" }
                } else {
                    progress.timePassed(now: now)
                }
            case .waitForDestination:
                if progress.deadline != nil { return "a deadline while waiting for the destination" }
                progress.destinationBecameReady()
            case .end(let end):
                let problem: String? =
                    switch end {
                    case .complete:
                        if isVerified != isHashed || isWrong {
                            "complete without verification"
                        } else {
                            delivered == total && received == total ? nil : "bytes are missing"
                        }
                    case .digestMismatch:
                        isWrong && isVerified && delivered < total ? nil : "mismatch of the right content"
                    case .hashFailed: "no hash failed"
                    case .sourceClosed, .sourceFailed, .stalled:
                        delivered == received && received < total ? nil : "bytes are left in the pipe"
                    case .destinationFailed: room == 0 ? nil : "the destination has not failed"
                    case .stopped: isStopped ? nil : "not stopped by the caller"
                    }
                return problem ?? changes(progress, now)
            }
        }
        return "no end"
    }

    /// No event changes a transfer that has ended.
    private func changes(_ ended: SpliceProgress, _ now: MonotonicTime) -> String? {
        var progress = ended
        progress.destinationBecameReady()
        progress.timePassed(now: now + .seconds(60))
        progress.filled(.moved(1), now: now)
        progress.hashed(.moved(1))
        progress.verified(matches: true)
        progress.drained(.moved(1), now: now)
        progress.stop()
        return progress == ended ? nil : "an event changed a transfer that has ended"
    }
}
