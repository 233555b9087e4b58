import Glibc
import Logging
import OCI
import Synchronization

/// Checks the files of a content store against their digests, each once for as long as it stays as it is.
///
/// The work is done on threads of its own, two at most, which run only while there is something to check and give way to
/// all others: the file was just read to be sent, so that it costs computing time alone.
public final class ContentChecks: Sendable {
    /// What a check has come to.
    public enum Result: Hashable, Sendable {
        /// The file is what its digest says.
        case sound
        /// It is not.
        case faulty(ContentFault)
        /// It could not be said: there was no room for another check, or the file changed meanwhile.
        case undecided
    }

    /// How many checks have ended in which way since the start.
    public struct Counts: Hashable, Sendable {
        /// Files that were what their digests say.
        public var sound = 0
        /// Files that were not.
        public var corrupt = 0
        /// Files that could not be read to their end.
        public var unreadable = 0
    }

    /// Tells apart what is checked.
    private struct Key: Hashable {
        var digest: Digest
        var stamp: FileStamp
    }

    private typealias Waiter = @Sendable (Result) -> Void

    private struct State {
        var memory = CheckMemory()
        var queue = CheckQueue<Key, ContentFile, Waiter>()
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

    /// The content whose files turned out to be faulty, each when it was found. To be listened to by one task.
    public let faults: AsyncStream<Digest>

    /// - Parameters:
    ///   - advice: what an admin is to do about a faulty file.
    ///   - logger: told of each faulty file.
    public init(advice: String, logger: Logger) {
        self.advice = advice
        self.logger = logger
        (faults, faultSignal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(CheckMemory.faultLimit))
    }

    /// How many checks have ended in which way.
    public var counts: Counts { state.withLock { $0.counts } }

    /// How many pieces of content are withheld now because their files are faulty.
    public var faultCount: Int { state.withLock { $0.memory.faultCount } }

    /// What is known of a file, without any check; `nil` when nothing is.
    ///
    /// - Parameter maximumAge: how old the knowledge that it is sound may be.
    public func known(_ file: ContentFile, _ digest: Digest, maximumAge: Duration? = nil) -> Result? {
        state.withLock { state in
            if let fault = state.memory.fault(digest), fault.stamp == file.stamp { return .faulty(fault) }
            let earliest = maximumAge.map { ContinuousClock.now - $0 }
            return state.memory.isSound(digest, file.stamp, since: earliest) ? .sound : nil
        }
    }

    /// Checks a small file at once, on the calling thread.
    public func checkNow(_ file: ContentFile, _ digest: Digest) -> Result {
        settle(Key(digest: digest, stamp: file.stamp), file, Self.examine(file, digest))
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
        let key = Key(digest: digest, stamp: file.stamp)
        let (hasRoom, needsWorker) = state.withLock { state in
            (state.queue.add(key, file, isUrgent: isUrgent, waiter: onResult), state.queue.needsWorker)
        }
        if !hasRoom { onResult(.undecided) }
        if needsWorker { startWorker() }
    }

    /// The content that must not be given out, of which the files are looked at once more; those that have changed since
    /// are no longer known to be faulty.
    func withheld(_ open: (Digest) -> ContentFile?) -> Set<Digest> {
        let suspects = state.withLock { $0.memory.faultyDigests }
        return Set(suspects.filter { isWithheld($0, open($0)) })
    }

    /// Whether content must not be given out.
    ///
    /// - Parameter file: its file as it is now; `nil` when there is none.
    func isWithheld(_ digest: Digest, _ file: @autoclosure () -> ContentFile?) -> Bool {
        guard let fault = state.withLock({ $0.memory.fault(digest) }) else { return false }
        if file()?.stamp == fault.stamp { return true }
        state.withLock { state in
            if state.memory.fault(digest) == fault { state.memory.forgetFault(digest) }
        }
        return false
    }

    // MARK: -

    private enum Finding {
        case sound
        case other(Digest)
        case unreadable(Int32)
        case changed
    }

    /// Runs what waits, on the calling thread, for as long as it may.
    private func work() {
        while let (key, file) = state.withLock({ $0.queue.start() }) {
            let result = settle(key, file, Self.examine(file, key.digest))
            let waiters = state.withLock { $0.queue.finish(key) }
            for waiter in waiters { waiter(result) }
        }
    }

    private func settle(_ key: Key, _ file: ContentFile, _ finding: Finding) -> Result {
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
        case .unreadable(let number): kind = .unreadable(number)
        }
        let fault = ContentFault(kind: kind, path: file.path, stamp: key.stamp)
        let isNews = state.withLock { state in
            if case .corrupt = kind { state.counts.corrupt += 1 } else { state.counts.unreadable += 1 }
            return state.memory.noteFault(key.digest, fault)
        }
        if isNews {
            logger.error(
                "a file of the content store is not what its digest says; it is not shared any more",
                metadata: [
                    "digest": "\(key.digest)", "path": "\(file.path)", "reason": "\(fault)", "advice": "\(advice)",
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
        guard fstat(file.fileDescriptor, &status) == 0, !FileStamp(status).mayHaveOtherBytes(than: file.stamp) else {
            return .changed
        }
        return failure == 0 ? .other(found) : .unreadable(failure)
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
