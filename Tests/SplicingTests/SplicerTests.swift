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

/// Random bytes and their digest.
private struct Content {
    let bytes: [UInt8]
    let digest: Digest

    init(_ count: Int) throws {
        var random = SeededGenerator()
        // A word at a time: millions of bytes would take seconds one by one.
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            var word: UInt64 = 0
            for place in 0..<count {
                word = place % 8 == 0 ? random.next() : word >> 8
                buffer.initializeElement(at: place, to: UInt8(truncatingIfNeeded: word))
            }
            initialized = count
        }
        var hasher = DigestHasher(.sha256)
        bytes.withUnsafeBytes { hasher.update($0) }
        self.bytes = bytes
        digest = hasher.finish()
    }
}

/// Two pairs of sockets, with a thread that writes to the source and one that reads from the destination.
private final class Transfer: Sendable {
    struct Failure: Error {
        let call: String
        let code: Int32
    }

    private struct State {
        var pause = Duration.zero
        var limit = Int.max
        var stopsAfter: Duration?
        var reported = 0
        var received: [UInt8] = []
    }

    let source: SocketDescriptor
    let destination: SocketDescriptor
    private let sender: SocketDescriptor
    private let receiver: SocketDescriptor
    private let state = Mutex(State())

    init() throws {
        (sender, source) = try Self.pair()
        (destination, receiver) = try Self.pair()
        // As the sockets of an event loop. A blocking write would stop the thread of the splicer.
        for socket in [source, destination] { _ = fcntl(socket.number, F_SETFL, O_NONBLOCK) }
    }

    /// Two ends of a TCP connection on loopback. Small buffers fill soon, so that writes block.
    private static func pair() throws -> (SocketDescriptor, SocketDescriptor) {
        let listener = SocketDescriptor(takingOver: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        let near = SocketDescriptor(takingOver: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        for socket in [listener, near] {
            var size: Int32 = 64 << 10
            setsockopt(socket.number, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout.size(ofValue: size)))
            setsockopt(socket.number, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout.size(ofValue: size)))
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isConnected = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener.number, $0, length) == 0 && listen(listener.number, 1) == 0
                    && getsockname(listener.number, $0, &length) == 0 && connect(near.number, $0, length) == 0
            }
        }
        guard isConnected else { throw Failure(call: "connect", code: errno) }
        let far = SocketDescriptor(takingOver: accept(listener.number, nil, nil))
        guard far.number >= 0 else { throw Failure(call: "accept", code: errno) }
        return (near, far)
    }

    var pauseBeforeReading: Duration {
        get { state.withLock { $0.pause } }
        set { state.withLock { $0.pause = newValue } }
    }
    /// The number of bytes after which the receiver closes.
    var readsAtMost: Int {
        get { state.withLock { $0.limit } }
        set { state.withLock { $0.limit = newValue } }
    }
    var stopsAfter: Duration? {
        get { state.withLock { $0.stopsAfter } }
        set { state.withLock { $0.stopsAfter = newValue } }
    }
    var reported: Int { state.withLock { $0.reported } }

    func closeSource() { sender.close() }

    /// All bytes that reached the receiver.
    func received() -> [UInt8] { state.withLock { $0.received } }

    func run(
        _ splicer: Splicer,
        _ content: Content,
        sends bytes: [UInt8],
        closes: Bool = false,
        isVerified: Bool = false
    ) async throws -> SpliceResult {
        let verification =
            isVerified ? DigestVerification(hasher: DigestHasher(.sha256), expected: content.digest) : nil
        return try await run(
            splicer,
            sends: bytes,
            count: content.bytes.count,
            closes: closes,
            verification: verification
        )
    }

    /// Carries a transfer out.
    ///
    /// - Parameter closes: whether the sender closes after the last byte.
    /// - Returns: the result, after the receiver has read to its end.
    func run(
        _ splicer: Splicer,
        sends bytes: [UInt8],
        count: Int? = nil,
        closes: Bool = false,
        verification: DigestVerification?
    ) async throws -> SpliceResult {
        let (results, continuation) = AsyncStream.makeStream(of: SpliceResult.self)
        let sending = Thread { [sender] in
            var sent = 0
            while sent < bytes.count {
                let next = bytes[sent...].withUnsafeBytes {
                    send(sender.number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                guard next > 0 else { break }
                sent += next
            }
            if closes { sender.close() }
        }
        let handle = splicer.begin(
            Int64(count ?? bytes.count),
            from: source,
            to: destination,
            verification: verification,
            onBytes: { count in self.state.withLock { $0.reported += count } },
            onEnd: { continuation.yield($0) }
        )
        guard let handle else { throw Failure(call: "begin", code: 0) }
        let reading = Thread { [receiver, pauseBeforeReading, readsAtMost] in
            usleep(UInt32(pauseBeforeReading.components.attoseconds / 1_000_000_000_000))
            var buffer = [UInt8](repeating: 0, count: 100_000)
            var total = 0
            while total < readsAtMost {
                let next = recv(receiver.number, &buffer, min(buffer.count, readsAtMost - total), 0)
                guard next > 0 else { break }
                total += next
                self.state.withLock { $0.received += buffer.prefix(next) }
            }
            receiver.close()
        }
        if let stopsAfter {
            try await Task.sleep(for: stopsAfter)
            handle.stop()
        }
        var iterator = results.makeAsyncIterator()
        guard let result = await iterator.next() else { throw Failure(call: "onEnd", code: 0) }
        await reading.end()
        // A source that is closed ends its sender too.
        await sending.end()
        return result
    }
}

/// A thread of a test.
private struct Thread {
    private let ended: AsyncStream<Void>

    init(_ body: @escaping @Sendable () -> Void) {
        let (ended, continuation) = AsyncStream.makeStream(of: Void.self)
        self.ended = ended
        let hasStarted = DetachedThread.start(stackSize: 256 << 10) {
            body()
            continuation.finish()
        }
        if !hasStarted { continuation.finish() }
    }

    func end() async {
        for await _ in ended {}
    }
}
