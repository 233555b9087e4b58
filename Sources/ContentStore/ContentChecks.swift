import Glibc
import Logging
import OCI
import Synchronization

/// Checks the content of a store against its digests, each piece once for as long as it stays as it is.
///
/// Files are checked on threads of its own, two at most, which run only while there is something to check and give way to
/// all others: the file was just read to be sent, so that it costs computing time alone. Content that is not within reach
/// as a file is read through its store by a task in place of a thread, or hashed by whoever reads all of it anyway.
public final class ContentChecks: Sendable {
    /// What a check has come to.
    public enum Result: Hashable, Sendable {
        /// The content is what its digest says.
        case sound
        /// It is not.
        case faulty(ContentFault)
        /// It could not be said: there was no room for another check, the store could not be asked, or the content
        /// changed meanwhile.
        case undecided
    }

    /// How many checks have ended in which way since the start.
    public struct Counts: Hashable, Sendable {
        /// Pieces of content that were what their digests say.
        public var sound = 0
        /// Pieces that were not.
        public var corrupt = 0
        /// Pieces that could not be read to their end.
        public var unreadable = 0
    }

    /// Tells apart what is checked.
    private struct Key: Hashable {
        var digest: Digest
        var stamp: ContentStamp
    }

    private typealias Waiter = @Sendable (Result) -> Void

    /// What is read for a check.
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

    /// How many bytes are read at a time.
    private static let chunkSize = 256 << 10
    /// How much nicer the threads are than the rest of the process.
    private static let niceness: Int32 = 10

    private let advice: String
    private let logger: Logger
    private let state = Mutex(State())
    private let faultSignal: AsyncStream<Digest>.Continuation

    /// The content that turned out to be faulty, each piece when it was found. To be listened to by one task.
    public let faults: AsyncStream<Digest>

    /// - Parameters:
    ///   - advice: what an admin is to do about faulty content.
    ///   - logger: told of each piece of it.
    public init(advice: String, logger: Logger) {
        self.advice = advice
        self.logger = logger
        (faults, faultSignal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(CheckMemory.faultLimit))
    }

    /// How many checks have ended in which way.
    public var counts: Counts { state.withLock { $0.counts } }

    /// How many pieces of content are withheld now because they are faulty.
    public var faultCount: Int { state.withLock { $0.memory.faultCount } }

    /// What is known of a file, without any check; `nil` when nothing is.
    ///
    /// - Parameter maximumAge: how old the knowledge that it is sound may be.
    public func known(_ file: ContentFile, _ digest: Digest, maximumAge: Duration? = nil) -> Result? {
        known(file.stamp, digest, maximumAge: maximumAge)
    }

    /// What is known of content in some state, without any check; `nil` when nothing is.
    ///
    /// - Parameter maximumAge: how old the knowledge that it is sound may be.
    public func known(_ stamp: ContentStamp, _ digest: Digest, maximumAge: Duration? = nil) -> Result? {
        state.withLock { state in
            if let fault = state.memory.fault(digest), fault.stamp == stamp { return .faulty(fault) }
            let earliest = maximumAge.map { ContinuousClock.now - $0 }
            return state.memory.isSound(digest, stamp, since: earliest) ? .sound : nil
        }
    }

    /// Checks a small file at once, on the calling thread.
    public func checkNow(_ file: ContentFile, _ digest: Digest) -> Result {
        settle(Key(digest: digest, stamp: file.stamp), file.path, Self.examine(file, digest))
    }

    /// Has a file checked.
    ///
    /// - Parameters:
    ///   - isUrgent: whether somebody waits for the result before anything is sent.
    ///   - onResult: called once, on any thread.
    public func check(
        _ file: ContentFile,
        _ digest: Digest,
        isUrgent: Bool,
        onResult: @escaping @Sendable (Result) -> Void
    ) {
        check(Key(digest: digest, stamp: file.stamp), .file(file), isUrgent: isUrgent, onResult: onResult)
    }

    /// Has content checked that is not within reach as a file. Where its state cannot be told it is not.
    ///
    /// - Parameters:
    ///   - isUrgent: whether somebody waits for the result before anything is sent.
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

    /// Notes what whoever has read content from its first byte to its last has found.
    ///
    /// - Parameter found: the digest of all that was read.
    public func note(_ reader: any ContentReader, _ digest: Digest, found: Digest) -> Result {
        guard let stamp = reader.stamp else { return .undecided }
        let key = Key(digest: digest, stamp: stamp)
        return settle(key, reader.place, found == digest ? .sound : .other(found))
    }

    /// Notes that whoever has read content could not read it to its end.
    public func note(_ reader: any ContentReader, _ digest: Digest, failure: any Error) {
        guard let stamp = reader.stamp else { return }
        _ = settle(Key(digest: digest, stamp: stamp), reader.place, Self.finding(failure))
    }

    /// What was found wrong with content, in whatever state it was.
    func fault(_ digest: Digest) -> ContentFault? { state.withLock { $0.memory.fault(digest) } }

    /// The content that was found faulty.
    var faultyDigests: [Digest] { state.withLock { $0.memory.faultyDigests } }

    /// Whether content must not be given out. What has changed since is no longer known to be faulty.
    ///
    /// - Parameter stamp: the state that it is in now; `nil` when it is not held.
    func isWithheld(_ digest: Digest, _ stamp: ContentStamp?) -> Bool {
        guard let fault = fault(digest) else { return false }
        return isWithheld(digest, stamp, as: fault)
    }

    /// Whether content must not be given out, for a fault that was known before its state was asked for.
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

    /// Runs what waits, on the calling thread, for as long as it may.
    private func work() {
        while let (key, source) = state.withLock({ $0.queue.start() }) {
            switch source {
            case .file(let file): finish(key, source, Self.examine(file, key.digest))
            case .reader(let reader):
                // Its place in the queue's width is the task's; the thread goes on with what else there is room for.
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
        let isNews = state.withLock { state in
            if case .unreadable = kind { state.counts.unreadable += 1 } else { state.counts.corrupt += 1 }
            return state.memory.noteFault(key.digest, fault)
        }
        if isNews {
            logger.error(
                "content of the store is not what its digest says; it is not shared any more",
                metadata: [
                    "digest": "\(key.digest)", "path": "\(place)", "reason": "\(fault)", "advice": "\(advice)",
                ]
            )
            faultSignal.yield(key.digest)
        }
        return .faulty(fault)
    }

    /// Reads the whole file and compares.
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
        let found = hasher.finish()
        if failure == 0, found == digest, offset == file.size { return .sound }
        // Whoever writes the file has not come to the end yet, or it has been replaced in place.
        var status = stat()
        guard fstat(file.fileDescriptor, &status) == 0, !ContentStamp(status).mayHaveOtherBytes(than: file.stamp) else {
            return .changed
        }
        return failure == 0 ? .other(found) : .unreadable(failure)
    }

    /// Reads all there is and compares.
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

    /// What it says of content that it could not be read to its end. Most often somebody has removed it, or its store is
    /// away.
    private static func finding(_ failure: any Error) -> Finding {
        switch failure {
        case ContentError.truncated(let end, _): .cutShort(end)
        case ContentError.system(_, _, let number): .unreadable(number)
        default: .changed
        }
    }

    /// Starts a thread that ends when nothing is left. Where the system has none to give, nobody is kept waiting.
    private func startWorker() {
        let hasStarted = DetachedThread.start(stackSize: 512 << 10) {
            // On Linux the priority of the process 0 is that of the calling thread.
            setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, ContentChecks.niceness)
            self.work()
        }
        guard !hasStarted else { return }
        let waiters = state.withLock { state in
            var waiters: [Waiter] = []
            // What others check is theirs to finish.
            while let (key, _) = state.queue.start() { waiters += state.queue.finish(key) }
            return waiters
        }
        for waiter in waiters { waiter(.undecided) }
    }
}
