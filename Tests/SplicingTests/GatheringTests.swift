import Glibc
import Synchronization
import Testing

@testable import Splicing

/// Transfers from a source that sends a few kilobytes at a time, as a real link does.
@Suite(.serialized, .timeLimit(.minutes(1))) struct GatheringTests {
    private struct Received {
        var bytes = 0
        var reads = 0
        var lastRead = ContinuousClock.now
    }

    /// One run: what was received at the moments `pause` and `end`.
    private struct Run {
        var atPause = 0
        var averageRead = 0
        /// The time from the last byte sent to the last byte received.
        var tail = Duration.zero
        var lowWater: Int32 = 0
    }

    /// Sends pieces of 10 kB, each half a millisecond after the other.
    private func send(_ total: Int, pauseAfter: Int = .max) async throws -> Run {
        let splicer = Splicer(timeout: .seconds(10), cores: 1)
        defer { splicer.close() }
        let (sender, source) = try Transfer.pair(bufferSize: nil)
        let (destination, receiver) = try Transfer.pair(bufferSize: nil)
        for socket in [source, destination] { _ = fcntl(socket.number, F_SETFL, O_NONBLOCK) }
        var one: Int32 = 1
        setsockopt(sender.number, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout.size(ofValue: one)))
        let state = Mutex(Received())
        let reading = Thread {
            var buffer = [UInt8](repeating: 0, count: 1 << 20)
            while true {
                let count = recv(receiver.number, &buffer, buffer.count, 0)
                guard count > 0 else { break }
                state.withLock { $0 = Received(bytes: $0.bytes + count, reads: $0.reads + 1) }
            }
        }
        let (ends, continuation) = AsyncStream.makeStream(of: SpliceResult.self)
        let handle = splicer.begin(Int64(total), from: source, to: destination, onBytes: { _ in }) {
            continuation.yield($0)
        }
        try #require(handle != nil)
        let run = Mutex(Run())
        let sending = Thread {
            let piece = [UInt8](repeating: 7, count: 10_000)
            var sent = 0
            var hasPaused = false
            while sent < total {
                if sent >= pauseAfter, !hasPaused {
                    hasPaused = true
                    usleep(500_000)
                    run.withLock { $0.atPause = state.withLock { $0.bytes } }
                }
                let count = Glibc.send(sender.number, piece, min(piece.count, total - sent), Int32(MSG_NOSIGNAL))
                guard count > 0 else { break }
                sent += count
                usleep(500)
            }
            let end = ContinuousClock.now
            while state.withLock({ $0.bytes }) < total, ContinuousClock.now - end < .seconds(5) { usleep(1000) }
            run.withLock { $0.tail = state.withLock { $0.lastRead } - end }
        }
        var iterator = ends.makeAsyncIterator()
        let result = await iterator.next()
        #expect(result?.end == .complete && result?.delivered == Int64(total))
        await sending.end()
        await reading.end()
        var lowWater: Int32 = 0
        var size = socklen_t(MemoryLayout.size(ofValue: lowWater))
        getsockopt(source.number, SOL_SOCKET, SO_RCVLOWAT, &lowWater, &size)
        let received = state.withLock { $0 }
        #expect(received.bytes == total)
        return run.withLock { run in
            run.averageRead = received.bytes / max(1, received.reads)
            run.lowWater = lowWater
            return run
        }
    }

    @Test func movesASteadySourceInLargePieces() async throws {
        let run = try await send(6_000_000)
        #expect(run.averageRead > 20_000)
        // The next answer on the connection may be small.
        #expect(run.lowWater == 1)
    }

    /// On a busy machine a single run says little.
    @Test func lastByteNeverWaits() async throws {
        var best = Duration.seconds(60)
        for _ in 0..<4 where best > .milliseconds(40) { best = min(best, try await send(3_001_234).tail) }
        #expect(best <= .milliseconds(40))
    }

    @Test func bytesBeforeAPauseDoNotWaitForItsEnd() async throws {
        let run = try await send(4_000_000, pauseAfter: 3_005_000)
        #expect(run.atPause == 3_010_000)
    }
}
