import CSplice
import Glibc
import OCI
import Synchronization
import Time

/// Hashes the content that was in the store before this node started, while the node is idle, so that the first reader
/// mostly finds it checked.
///
/// What the store has hashed itself since the start, and what a request had checked, is not read again. The largest
/// files come first; small ones cost their reader nothing that is worth a thread. Content that is only accessible through
/// its store is left to its reader. Pages that were not in the page cache before do not stay there.
public final class IdleChecks: Sendable {
    /// The most files to check: half of what ``CheckMemory`` is sure to keep.
    static let fileLimit = CheckMemory.soundLimit / 2
    /// Files up to this size are hashed when they are served, on the spot.
    static let smallFile: Int64 = 256 << 10
    /// The time from a change of the store to the look at what is new; a rollout adds content for a while.
    private static let settleTime = Duration.seconds(5)
    private static let chunkSize = 256 << 10
    /// The nice value of the thread relative to the process: the lowest priority, for the disk, too.
    private static let niceness: Int32 = 19

    private let store: any ContentStore
    private let checks: ContentChecks
    private let index: ContentIndex
    private let traffic: @Sendable () -> (running: Int, ended: Int)
    private let settleTime: Duration
    private let remaining = Atomic<Int64>(0)
    private let isStopped = Atomic(false)
    private let arrivals: AsyncStream<Void>

    /// - Parameters:
    ///   - traffic: the requests for content that are being answered, and how many were answered since the start.
    ///   - settleTime: for tests.
    /// - Returns: `nil` for a store without checks.
    public init?(
        _ store: any ContentStore,
        index: ContentIndex,
        settleTime: Duration? = nil,
        traffic: @escaping @Sendable () -> (running: Int, ended: Int)
    ) {
        guard let checks = store.checks else { return nil }
        self.store = store
        self.checks = checks
        self.index = index
        self.traffic = traffic
        self.settleTime = settleTime ?? Self.settleTime
        let (arrivals, signal) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        self.arrivals = arrivals
        index.observe { _ in signal.yield() }
    }

    /// The bytes that are still to be hashed. 0 before the store was listed.
    public var remainingBytes: Int64 { remaining.load(ordering: .relaxed) }

    /// Checks what is unchecked after each change of the store, until the task is cancelled. There is no thread without
    /// work.
    public func run() async {
        for await _ in arrivals {
            guard (try? await Task.sleep(for: settleTime)) != nil else { return }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let hasStarted = DetachedThread.start(stackSize: 512 << 10) { [self] in
                        // On Linux the priority of the process 0 is that of the calling thread.
                        setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, Self.niceness)
                        checkAll()
                        continuation.resume()
                    }
                    // Without a thread, the next change is another occasion.
                    if !hasStarted { continuation.resume() }
                }
            } onCancel: {
                isStopped.store(true, ordering: .relaxed)
            }
        }
    }

    // MARK: - On the thread

    private func checkAll() {
        var unchecked: [(digest: Digest, size: Int64)] = []
        for content in index.largest(Self.fileLimit, above: Self.smallFile) {
            guard let file = try? store.openFile(content.digest), checks.known(file, content.digest) == nil else {
                continue
            }
            unchecked.append((content.digest, file.size))
        }
        var bytes = unchecked.reduce(0) { $0 + $1.size }
        remaining.store(bytes, ordering: .relaxed)
        var pace = IdlePace()
        for (digest, size) in unchecked {
            guard wait(for: &pace) else { break }
            check(digest, &pace, left: bytes)
            bytes -= size
            remaining.store(bytes, ordering: .relaxed)
        }
        remaining.store(0, ordering: .relaxed)
    }

    private func check(_ digest: Digest, _ pace: inout IdlePace, left: Int64) {
        // It may be gone by now, or checked for a reader.
        guard let file = try? store.openFile(digest), checks.known(file, digest) == nil else { return }
        // Read-ahead would fill the page cache, and hide what was in it before.
        posix_fadvise(file.fileDescriptor, 0, 0, POSIX_FADV_RANDOM)
        var hasher = DigestHasher(digest.algorithm)
        var offset: Int64 = 0
        var failure: Int32 = 0
        while failure == 0 {
            let began = MonotonicTime.now
            let start = offset
            var isAtEnd = false
            withUnsafeTemporaryAllocation(byteCount: Self.chunkSize, alignment: 4096) { buffer in
                while offset - start < IdlePace.partSize, !isAtEnd, failure == 0 {
                    switch UncachedRead.read(file.fileDescriptor, buffer, at: offset) {
                    case .bytes(let count):
                        hasher.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                        offset += Int64(count)
                    case .end: isAtEnd = true
                    case .failed(let number): failure = number
                    }
                }
            }
            if isAtEnd || failure != 0 { break }
            remaining.store(max(0, left - offset), ordering: .relaxed)
            rest(for: IdlePace.rest(after: MonotonicTime.now - began, bytes: offset - start))
            guard wait(for: &pace), checks.known(file, digest) == nil else { return }
        }
        checks.note(file, digest, found: hasher.finish(), length: offset, failure: failure)
    }

    /// Waits until the next part may be read.
    ///
    /// - Returns: whether it may; `false` at the end of the node.
    private func wait(for pace: inout IdlePace) -> Bool {
        while !isStopped.load(ordering: .relaxed) {
            let requests = traffic()
            let now = IdlePace.Traffic(running: requests.running + checks.pendingCount, ended: requests.ended)
            if pace.mayRead(now, now: .now) { return true }
            rest(for: IdlePace.lookInterval)
        }
        return false
    }

    private func rest(for time: Duration) {
        var left = time
        while left > .zero, !isStopped.load(ordering: .relaxed) {
            let part = min(left, IdlePace.lookInterval)
            usleep(UInt32(clamping: part.components.attoseconds / 1_000_000_000_000 + 1))
            left -= part
        }
    }
}

/// Reads that leave the page cache as they found it.
private enum UncachedRead {
    enum Outcome {
        case bytes(Int)
        case end
        case failed(Int32)
    }

    static func read(_ descriptor: Int32, _ buffer: UnsafeMutableRawBufferPointer, at offset: Int64) -> Outcome {
        // First what is in the page cache: it stays there.
        var vector = iovec(iov_base: buffer.baseAddress, iov_len: buffer.count)
        let cached = preadv2(descriptor, &vector, 1, off_t(offset), SPEGEL_READ_CACHED)
        if cached > 0 { return .bytes(cached) }
        if cached == 0 { return .end }
        // Some file systems cannot tell; then nothing is dropped.
        let isUncached = errno == EAGAIN
        while true {
            let count = pread(descriptor, buffer.baseAddress, buffer.count, off_t(offset))
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return .failed(errno) }
            guard count > 0 else { return .end }
            if isUncached { posix_fadvise(descriptor, off_t(offset), off_t(count), POSIX_FADV_DONTNEED) }
            return .bytes(count)
        }
    }
}
