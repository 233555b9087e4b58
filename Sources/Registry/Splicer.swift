import Glibc
import NIOCore
import Synchronization

/// Has the kernel move bodies from peers' sockets to clients', so that no byte of them enters this process.
final class Splicer: Sendable {
    /// The most threads; each moves more than a fast network card brings.
    private static let maximumThreads = 4
    /// The most transfers at a time. Each takes four descriptors, six where it is hashed; those beyond go by way of the event
    /// loops.
    private static let maximumTransfers = 512

    private struct State {
        /// Made when they are first needed.
        var threads: [SpliceThread?]
        var next = 0
        var isClosed = false
    }

    private let pipes = SplicePipes()
    private let timeout: TimeAmount
    private let limit: Int
    private let state: Mutex<State>
    private let transfers = Atomic(0)
    private let allTransfers = Atomic(0)
    /// Set once the kernel has said that it cannot.
    private let isUnable = Atomic(false)

    /// - Parameter timeout: how long a peer may send nothing while the client takes what comes.
    init(timeout: TimeAmount) {
        self.timeout = timeout
        var descriptors = rlimit()
        let isKnown = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &descriptors) == 0
        // Where descriptors are few, connections need them more.
        limit = isKnown ? min(Self.maximumTransfers, Int(clamping: descriptors.rlim_cur / 32)) : 16
        let threads = min(Self.maximumThreads, max(1, System.coreCount))
        state = Mutex(State(threads: Array(repeating: nil, count: threads)))
    }

    /// Whether it is worth trying.
    var isAble: Bool {
        !isUnable.load(ordering: .relaxed) && transfers.load(ordering: .relaxed) < limit
    }

    /// How many transfers are under way.
    var current: Int { transfers.load(ordering: .relaxed) }
    /// How many were begun so far.
    var begun: Int { allTransfers.load(ordering: .relaxed) }

    /// Begins to move bytes.
    ///
    /// - Parameters:
    ///   - onBytes: called with the number of bytes that came from the peer, from time to time and before the end.
    ///   - check: has the bytes be hashed.
    ///   - onEnd: called once, on another thread.
    /// - Returns: `nil` when it cannot be done. Neither socket has been touched then.
    func begin(
        _ count: Int64,
        from peer: SocketDescriptor,
        to client: SocketDescriptor,
        check: SpliceCheck? = nil,
        onBytes: @escaping @Sendable (Int) -> Void,
        onEnd: @escaping @Sendable (SpliceResult) -> Void
    ) -> SpliceHandle? {
        guard isAble, count > 0, let pipe = pipes.take(), let thread = nextThread() else { return nil }
        let side = check == nil ? nil : pipes.take()
        guard check == nil || side != nil else {
            pipes.put(pipe)
            return nil
        }
        var start = SpliceProgress(
            total: count,
            largestFill: SplicePipe.size,
            timeout: timeout,
            isHashed: check != nil,
            now: .now()
        )
        guard case .fill(let first) = start.step else { return nil }
        let outcome = pipe.fill(from: peer.number, first)
        switch outcome {
        case .moved, .wouldBlock: start.filled(outcome, now: .now())
        case .closed, .failed:
            pipes.put(pipe)
            if let side { pipes.put(side) }
            if outcome == .failed(EINVAL) || outcome == .failed(ENOSYS) { isUnable.store(true, ordering: .relaxed) }
            return nil
        }
        transfers.wrappingAdd(1, ordering: .relaxed)
        allTransfers.wrappingAdd(1, ordering: .relaxed)
        let splice = Splice(
            peer: peer,
            client: client,
            pipe: pipe,
            side: side,
            start: start,
            check: check,
            onBytes: onBytes,
            onEnd: { [weak self] result in
                self?.transfers.wrappingSubtract(1, ordering: .relaxed)
                switch result.end {
                case .clientFailed(EINVAL), .hashFailed(EINVAL), .hashFailed(ENOSYS):
                    self?.isUnable.store(true, ordering: .relaxed)
                default: break
                }
                onEnd(result)
            }
        )
        thread.begin(splice)
        return SpliceHandle(splice: splice, thread: thread)
    }

    /// Ends the threads, and whatever they do with them.
    func close() {
        let threads = state.withLock { state in
            defer { state.threads = [] }
            state.isClosed = true
            return state.threads
        }
        for thread in threads { thread?.close() }
        pipes.clear()
    }

    private func nextThread() -> SpliceThread? {
        state.withLock { state in
            guard !state.isClosed, !state.threads.isEmpty else { return nil }
            state.next = (state.next + 1) % state.threads.count
            if state.threads[state.next] == nil { state.threads[state.next] = SpliceThread(pipes: pipes) }
            return state.threads[state.next]
        }
    }
}

/// A transfer that a ``Splicer`` has begun.
struct SpliceHandle: Sendable {
    fileprivate let splice: Splice
    fileprivate let thread: SpliceThread

    fileprivate init(splice: Splice, thread: SpliceThread) {
        self.splice = splice
        self.thread = thread
    }

    /// How many bytes have gone to the client so far.
    var given: Int64 { splice.given }

    /// Calls it off: both descriptors are closed soon.
    func stop() { thread.stop(splice) }
}
