import Glibc
import Logging
import OCI
import Synchronization
import Time

/// Checks the content of a store against its digests, once for each state of a file.
///
/// At most two threads check files. They exist only while there is work, and run at low priority. A file was mostly
/// just read to be sent, so that a check costs CPU time only. Content that is not accessible as a file is read through
/// its store by a task in place of a thread, or hashed by a request that reads all of it.
public final class ContentChecks: Sendable {
    /// The result of a check.
    public enum Result: Hashable, Sendable {
        /// The content matches its digest.
        case sound
        /// The content does not match its digest, or cannot be read.
        case faulty(ContentFault)
        /// No result: the queue was full, the store unavailable, or the content changed during the check.
        case undecided
    }

    /// The number of checks since the start by result.
    public struct Counts: Hashable, Sendable {
        /// Checks that found sound content.
        public var sound = 0
        /// Checks that found a digest mismatch.
        public var corrupt = 0
        /// Checks that could not read the content to its end.
        public var unreadable = 0
    }

    /// One state of a file.
    private struct Key: Hashable {
        var digest: Digest
        var stamp: ContentStamp
    }

    private typealias Waiter = @Sendable (Result) -> Void

    /// The source of the bytes.
    private enum Source {
        case file(ContentFile)
        case reader(any ContentReader)

        var place: String {
            switch self {
            case .file(let file): file.path
            case .reader(let reader): reader.place
            }
        }
    }

    private struct State {
        var memory = CheckMemory()
        var queue = CheckQueue<Key, Source, Waiter>()
        var counts = Counts()
    }

    /// The number of bytes per read.
    private static let chunkSize = 256 << 10
    /// The nice value of the threads relative to the process.
    private static let niceness: Int32 = 10

    private let advice: String
    private let logger: Logger
    private let state = Mutex(State())
    private let faultSignal: AsyncStream<Digest>.Continuation

    /// The digest of each fault when it is found. For one listener.
    public let faults: AsyncStream<Digest>

    /// - Parameters:
    ///   - advice: what an admin can do about faulty content, for the log.
    ///   - logger: logs each fault.
    public init(advice: String, logger: Logger) {
        self.advice = advice
        self.logger = logger
        (faults, faultSignal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(CheckMemory.faultLimit))
    }

    /// The number of checks by result.
    public var counts: Counts { state.withLock { $0.counts } }

    /// The number of withheld pieces of content.
    public var faultCount: Int { state.withLock { $0.memory.faultCount } }

    /// The known result for a file, without a check.
    ///
    /// - Parameter maximumAge: the maximum age of a result ``Result/sound``.
    public func known(_ file: ContentFile, _ digest: Digest, maximumAge: Duration? = nil) -> Result? {
        known(file.stamp, digest, maximumAge: maximumAge)
    }

    /// The known result for a state of content, without a check.
    ///
    /// - Parameter maximumAge: the maximum age of a result ``Result/sound``.
    public func known(_ stamp: ContentStamp, _ digest: Digest, maximumAge: Duration? = nil) -> Result? {
        state.withLock { state in
            if let fault = state.memory.fault(digest), fault.stamp == stamp { return .faulty(fault) }
            let earliest = maximumAge.map { MonotonicTime.now + (.zero - $0) }
            return state.memory.isSound(digest, stamp, since: earliest) ? .sound : nil
        }
    }

    /// Checks a small file on the calling thread.
    public func checkNow(_ file: ContentFile, _ digest: Digest) -> Result {
        settle(Key(digest: digest, stamp: file.stamp), file.path, Self.examine(file, digest))
    }

    /// Queues a check of a file.
    ///
    /// - Parameters:
    ///   - isUrgent: whether a request waits for the result before it sends anything.
    ///   - onResult: called once, on any thread.
    public func check(
        _ file: ContentFile,
        _ digest: Digest,
        isUrgent: Bool,
        onResult: @escaping @Sendable (Result) -> Void
    ) {
        check(Key(digest: digest, stamp: file.stamp), .file(file), isUrgent: isUrgent, onResult: onResult)
    }

    /// Queues a check of content that is not accessible as a file. Without a known state the result is
    /// ``Result/undecided``.
    ///
    /// - Parameters:
    ///   - isUrgent: whether a request waits for the result before it sends anything.
    ///   - onResult: called once, on any thread.
    public func check(
        _ reader: any ContentReader,
        _ digest: Digest,
        isUrgent: Bool,
        onResult: @escaping @Sendable (Result) -> Void
    ) {
        guard let stamp = reader.stamp else { return onResult(.undecided) }
        check(Key(digest: digest, stamp: stamp), .reader(reader), isUrgent: isUrgent, onResult: onResult)
    }

    /// Records the digest that a reader computed while it read the content from the first byte to the last.
    ///
    /// - Parameter found: the digest of all bytes.
    public func note(_ reader: any ContentReader, _ digest: Digest, found: Digest) -> Result {
        guard let stamp = reader.stamp else { return .undecided }
        let key = Key(digest: digest, stamp: stamp)
        return settle(key, reader.place, found == digest ? .sound : .other(found))
    }

    /// Records what a reader of the whole file found.
    ///
    /// - Parameters:
    ///   - length: the bytes that it could read.
    ///   - failure: the error number of the last read; 0 at the end of the file.
    func note(_ file: ContentFile, _ digest: Digest, found: Digest, length: Int64, failure: Int32) {
        let finding = Self.finding(file, digest, found: found, length: length, failure: failure)
        _ = settle(Key(digest: digest, stamp: file.stamp), file.path, finding)
    }

    /// The number of checks that run or are queued.
    var pendingCount: Int { state.withLock { $0.queue.count } }

    /// Records that a reader could not read the content to its end.
    public func note(_ reader: any ContentReader, _ digest: Digest, failure: any Error) {
        guard let stamp = reader.stamp else { return }
        _ = settle(Key(digest: digest, stamp: stamp), reader.place, Self.finding(failure))
    }

    /// Records that the store has hashed a file before it gave it its place, just now. A check that failed counts more.
    func noteCommitted(_ file: ContentFile, _ digest: Digest) {
        state.withLock { state in
            guard state.memory.fault(digest)?.stamp != file.stamp else { return }
            state.memory.noteSound(digest, file.stamp, now: .now)
        }
    }

    /// The recorded fault of content, whatever its state now.
    func fault(_ digest: Digest) -> ContentFault? { state.withLock { $0.memory.fault(digest) } }

    /// The digests of all faulty content.
    var faultyDigests: [Digest] { state.withLock { $0.memory.faultyDigests } }

    /// Whether content must be withheld. Drops the fault when the content has changed since.
    ///
    /// - Parameter stamp: the present state; `nil` when the content is missing.
    func isWithheld(_ digest: Digest, _ stamp: ContentStamp?) -> Bool {
        guard let fault = fault(digest) else { return false }
        return isWithheld(digest, stamp, as: fault)
    }

    /// Whether content must be withheld for a fault that was known before the store returned the state.
    func isWithheld(_ digest: Digest, _ stamp: ContentStamp?, as fault: ContentFault) -> Bool {
        if stamp == fault.stamp { return true }
        state.withLock { state in
            if state.memory.fault(digest) == fault { state.memory.forgetFault(digest) }
        }
        return false
    }

    // MARK: -

    private enum Finding {
        case sound
        case other(Digest)
        case cutShort(Int64)
        case unreadable(Int32)
        case changed
    }

    private func check(_ key: Key, _ source: Source, isUrgent: Bool, onResult: @escaping Waiter) {
        let (hasRoom, needsWorker) = state.withLock { state in
            (state.queue.add(key, source, isUrgent: isUrgent, waiter: onResult), state.queue.needsWorker)
        }
        if !hasRoom { onResult(.undecided) }
        if needsWorker { startWorker() }
    }

    /// Runs queued checks on the calling thread until none is left for it.
    private func work() {
        while let (key, source) = state.withLock({ $0.queue.start() }) {
            switch source {
            case .file(let file): finish(key, source, Self.examine(file, key.digest))
            case .reader(let reader):
                // The task takes over this thread's slot of the queue's width. The thread continues with other checks.
                Task(priority: .utility) {
                    finish(key, source, await Self.examine(reader, key.digest))
                    if state.withLock({ $0.queue.needsWorker }) { startWorker() }
                }
            }
        }
    }

    private func finish(_ key: Key, _ source: Source, _ finding: Finding) {
        let result = settle(key, source.place, finding)
        let waiters = state.withLock { $0.queue.finish(key) }
        for waiter in waiters { waiter(result) }
    }

    private func settle(_ key: Key, _ place: String, _ finding: Finding) -> Result {
        let kind: ContentFault.Kind
        switch finding {
        case .sound:
            state.withLock { state in
                state.counts.sound += 1
                state.memory.noteSound(key.digest, key.stamp, now: .now)
            }
            return .sound
        case .changed: return .undecided
        case .other(let found): kind = .corrupt(found: found)
        case .cutShort(let end): kind = .cutShort(end)
        case .unreadable(let number): kind = .unreadable(number)
        }
        let fault = ContentFault(kind: kind, path: place, stamp: key.stamp)
        let isNew = state.withLock { state in
            if case .unreadable = kind { state.counts.unreadable += 1 } else { state.counts.corrupt += 1 }
            return state.memory.noteFault(key.digest, fault)
        }
        if isNew {
            logger.error(
                "faulty content withheld",
                metadata: [
                    "digest": "\(key.digest)", "path": "\(place)", "reason": "\(fault)", "advice": "\(advice)",
                ]
            )
            faultSignal.yield(key.digest)
        }
        return .faulty(fault)
    }

    /// Hashes the whole file and compares the digest.
    private static func examine(_ file: ContentFile, _ digest: Digest) -> Finding {
        var hasher = DigestHasher(digest.algorithm)
        var offset: Int64 = 0
        var failure: Int32 = 0
        withUnsafeTemporaryAllocation(byteCount: Int(min(Int64(chunkSize), max(1, file.size))), alignment: 64) {
            buffer in
            while true {
                let count = pread(file.fileDescriptor, buffer.baseAddress, buffer.count, off_t(offset))
                if count < 0, errno == EINTR { continue }
                if count < 0 { failure = errno }
                guard count > 0 else { break }
                hasher.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                offset += Int64(count)
            }
        }
        return finding(file, digest, found: hasher.finish(), length: offset, failure: failure)
    }

    /// The finding for a file that was read to its end or to an error.
    private static func finding(
        _ file: ContentFile,
        _ digest: Digest,
        found: Digest,
        length: Int64,
        failure: Int32
    ) -> Finding {
        if failure == 0, found == digest, length == file.size { return .sound }
        // A writer may still be at work, or may have replaced the bytes in place.
        var status = stat()
        guard fstat(file.fileDescriptor, &status) == 0, !ContentStamp(status).mayHaveOtherBytes(than: file.stamp) else {
            return .changed
        }
        return failure == 0 ? .other(found) : .unreadable(failure)
    }

    /// Hashes all bytes of a reader and compares the digest.
    private static func examine(_ reader: any ContentReader, _ digest: Digest) async -> Finding {
        var hasher = DigestHasher(digest.algorithm)
        do {
            for try await chunk in reader.read(0..<reader.size) { chunk.withUnsafeBytes { hasher.update($0) } }
        } catch {
            return finding(error)
        }
        let found = hasher.finish()
        return found == digest ? .sound : .other(found)
    }

    /// The finding for content that could not be read to its end. Mostly the content was removed or its store is down.
    private static func finding(_ failure: any Error) -> Finding {
        switch failure {
        case ContentError.truncated(let end, _): .cutShort(end)
        case ContentError.system(_, _, let number): .unreadable(number)
        default: .changed
        }
    }

    /// Starts a thread that ends when the queue is empty. Without a thread, all queued checks end without a result.
    private func startWorker() {
        let hasStarted = DetachedThread.start(stackSize: 512 << 10) {
            // On Linux the priority of the process 0 is that of the calling thread.
            setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, ContentChecks.niceness)
            self.work()
        }
        guard !hasStarted else { return }
        let waiters = state.withLock { state in
            var waiters: [Waiter] = []
            // Running checks belong to other threads.
            while let (key, _) = state.queue.start() { waiters += state.queue.finish(key) }
            return waiters
        }
        for waiter in waiters { waiter(.undecided) }
    }
}
