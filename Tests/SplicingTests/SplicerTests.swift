import ContentStore
import Glibc
import OCI
import Synchronization
import TestSupport
import Testing
import Time

@testable import Splicing

/// Transfers between real sockets.
@Suite(.serialized, .timeLimit(.minutes(2))) struct SplicerTests {
    @Test(arguments: [false, true]) func movesEveryByte(isVerified: Bool) async throws {
        let splicer = Splicer(timeout: .seconds(10), cores: 2)
        defer { splicer.close() }
        let content = try Content(3_000_000)
        let transfer = try Transfer()
        let result = try await transfer.run(splicer, content, sends: content.bytes, isVerified: isVerified)
        #expect(result.end == .complete && result.delivered == Int64(content.bytes.count))
        #expect((transfer.received() == content.bytes) == true)
        #expect(result.hasher?.finish() == (isVerified ? content.digest : nil))
        #expect(transfer.reported == content.bytes.count)
        // Only the destination is closed: the source serves the next answer.
        #expect(transfer.source.number >= 0 && transfer.destination.number == -1)
        #expect(splicer.current == 0 && splicer.begun == 1)
    }

    @Test func endsAtTheLastByteOfTheTransfer() async throws {
        let splicer = Splicer(timeout: .seconds(10), cores: 1)
        defer { splicer.close() }
        let content = try Content(100_000)
        let transfer = try Transfer()
        let result = try await transfer.run(splicer, content, sends: content.bytes + [1, 2, 3])
        #expect(result.end == .complete)
        #expect((transfer.received() == content.bytes) == true)
        var next = [UInt8](repeating: 0, count: 10)
        #expect(recv(transfer.source.number, &next, next.count, Int32(MSG_DONTWAIT)) == 3 && next[2] == 3)
    }

    @Test func verificationContinuesAHash() async throws {
        let splicer = Splicer(timeout: .seconds(10), cores: 1)
        defer { splicer.close() }
        let content = try Content(500_000)
        var hasher = DigestHasher(.sha256)
        content.bytes.prefix(1000).withUnsafeBytes { hasher.update($0) }
        let transfer = try Transfer()
        let rest = Array(content.bytes.dropFirst(1000))
        let verification = DigestVerification(hasher: hasher, expected: content.digest)
        let result = try await transfer.run(splicer, sends: rest, verification: verification)
        #expect(result.end == .complete)
        #expect((transfer.received() == rest) == true)
    }

    @Test(arguments: [0, 1_500_000, 2_999_999]) func withholdsTheLastBytesOnADigestMismatch(place: Int) async throws {
        let splicer = Splicer(timeout: .seconds(10), cores: 1)
        defer { splicer.close() }
        let content = try Content(3_000_000)
        var wrong = content.bytes
        wrong[place] ^= 1
        let transfer = try Transfer()
        let result = try await transfer.run(splicer, content, sends: wrong, isVerified: true)
        let received = transfer.received()
        #expect(result.end == .digestMismatch && result.delivered == Int64(received.count))
        #expect(received.count < wrong.count)
        #expect((received == Array(wrong.prefix(received.count))) == true)
        #expect(transfer.source.number == -1 && transfer.destination.number == -1)
    }

    @Test(arguments: [false, true]) func deliversAllBytesOfASourceThatCloses(isVerified: Bool) async throws {
        let splicer = Splicer(timeout: .seconds(10), cores: 1)
        defer { splicer.close() }
        let content = try Content(3_000_000)
        let sent = Array(content.bytes.prefix(1_234_567))
        let transfer = try Transfer()
        let result = try await transfer.run(splicer, content, sends: sent, closes: true, isVerified: isVerified)
        #expect(result.end == .sourceClosed && result.delivered == 1_234_567)
        #expect((transfer.received() == sent) == true)
        // The hasher has seen exactly these bytes, so that another source can continue.
        var expected = DigestHasher(.sha256)
        sent.withUnsafeBytes { expected.update($0) }
        #expect(result.hasher?.finish() == (isVerified ? expected.finish() : nil))
    }

    @Test func sourceThatPausesStalls() async throws {
        let splicer = Splicer(timeout: .milliseconds(300), cores: 1)
        defer { splicer.close() }
        let content = try Content(300_000)
        let sent = Array(content.bytes.prefix(100_000))
        let transfer = try Transfer()
        let began = ContinuousClock.now
        let result = try await transfer.run(splicer, content, sends: sent)
        #expect(result.end == .stalled && result.delivered == 100_000)
        #expect(ContinuousClock.now - began >= .milliseconds(300))
        #expect((transfer.received() == sent) == true)
    }

    @Test func slowDestinationIsNoStall() async throws {
        let splicer = Splicer(timeout: .milliseconds(200), cores: 1)
        defer { splicer.close() }
        let content = try Content(8_000_000)
        let transfer = try Transfer()
        transfer.pauseBeforeReading = .milliseconds(800)
        let result = try await transfer.run(splicer, content, sends: content.bytes)
        #expect(result.end == .complete)
        #expect((transfer.received() == content.bytes) == true)
    }

    @Test func endsWhenTheDestinationCloses() async throws {
        let splicer = Splicer(timeout: .seconds(10), cores: 1)
        defer { splicer.close() }
        let content = try Content(8_000_000)
        let transfer = try Transfer()
        transfer.readsAtMost = 100_000
        let result = try await transfer.run(splicer, content, sends: content.bytes)
        guard case .destinationFailed = result.end else {
            Issue.record("\(result.end)")
            return
        }
        #expect(result.delivered < 8_000_000)
        #expect(transfer.source.number == -1)
    }

    @Test func stopEndsATransferThatWaits() async throws {
        let splicer = Splicer(timeout: .seconds(60), cores: 1)
        defer { splicer.close() }
        let content = try Content(300_000)
        let transfer = try Transfer()
        transfer.stopsAfter = .milliseconds(50)
        let result = try await transfer.run(splicer, content, sends: Array(content.bytes.prefix(1000)))
        #expect(result.end == .stopped && splicer.current == 0)
        #expect(transfer.source.number == -1 && transfer.destination.number == -1)
    }

    @Test func closeStopsAllTransfers() async throws {
        let splicer = Splicer(timeout: .seconds(60), cores: 1)
        let content = try Content(300_000)
        let transfer = try Transfer()
        Task {
            try await Task.sleep(for: .milliseconds(50))
            splicer.close()
        }
        let result = try await transfer.run(splicer, content, sends: Array(content.bytes.prefix(1000)))
        #expect(result.end == .stopped)
        let other = try Transfer()
        let refused = splicer.begin(1, from: other.source, to: other.destination, onBytes: { _ in }, onEnd: { _ in })
        #expect(refused == nil)
    }

    @Test func closedThreadEndsANewTransfer() throws {
        let thread = try #require(SpliceThread(pipes: SplicePipePool()))
        thread.close()
        let transfer = try Transfer()
        let ends = Mutex<[SpliceProgress.End]>([])
        let splice = Splice(
            source: transfer.source,
            destination: transfer.destination,
            pipe: try #require(SplicePipe()),
            copyPipe: nil,
            start: SpliceProgress(total: 1, largestFill: 1, timeout: .seconds(1), now: .now),
            verification: nil,
            onBytes: { _ in },
            onEnd: { result in ends.withLock { $0.append(result.end) } }
        )
        thread.begin(splice)
        #expect(ends.withLock { $0 } == [.stopped])
        #expect(transfer.source.number == -1 && transfer.destination.number == -1)
    }

    @Test func refusesASourceThatHasEnded() throws {
        let splicer = Splicer(timeout: .seconds(10), cores: 1)
        defer { splicer.close() }
        let transfer = try Transfer()
        transfer.closeSource()
        let handle = splicer.begin(10, from: transfer.source, to: transfer.destination, onBytes: { _ in }) { _ in }
        #expect(handle == nil && splicer.begun == 0 && splicer.isAble)
        #expect(transfer.source.number >= 0 && transfer.destination.number >= 0)
    }

    @Test func refusesWhatIsNoSocket() throws {
        let splicer = Splicer(timeout: .seconds(10), cores: 1)
        defer { splicer.close() }
        let transfer = try Transfer()
        // The kernel can splice from no directory, and says so with EINVAL: no further attempt is worth its cost.
        let folder = SocketDescriptor(takingOver: open("/", O_RDONLY | O_CLOEXEC))
        #expect(splicer.begin(10, from: folder, to: transfer.destination, onBytes: { _ in }) { _ in } == nil)
        #expect(!splicer.isAble)
    }

    @Test func pipesAreReturnedEmpty() async throws {
        let splicer = Splicer(timeout: .seconds(10), cores: 1)
        defer { splicer.close() }
        // A pipe or a copy pipe with bytes of the transfer before would spoil the next content.
        for number in 0..<20 {
            let content = try Content(700_000)
            let transfer = try Transfer()
            var sent = content.bytes
            if number % 2 == 0 { sent[0] ^= 1 }
            let result = try await transfer.run(splicer, content, sends: sent, isVerified: true)
            #expect(result.end == (number % 2 == 0 ? .digestMismatch : .complete))
            if number % 2 == 1 { #expect((transfer.received() == content.bytes) == true) }
        }
    }
}
