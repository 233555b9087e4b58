import Glibc
import Synchronization
import Time

/// Moves bytes from socket to socket within the kernel: no byte enters this process, unless it is hashed.
///
/// The files of the module form layers, each of which knows only those before it:
///
/// 1. ``SocketDescriptor`` and ``MoveOutcome``: a descriptor, and the result of one move.
/// 2. ``SpliceProgress``: the next step of a transfer, as a pure state machine.
///    ``SourceGathering``: when it is worth a step.
/// 3. ``SplicePipe``, `HashBuffer` and ``DigestVerification``: the means of a transfer. ``SpliceResult``: its result.
/// 4. `Splice`: one transfer.
/// 5. `SpliceInbox`: hands transfers to a thread, and holds the sockets at which the thread waits.
/// 6. `SpliceLoop`: runs the transfers of a thread, and carries out their steps.
/// 7. `SpliceThread`: a thread with a loop.
/// 8. `Splicer`: the entry. It chooses the thread and limits the number of transfers.
package final class Splicer: Sendable {
    /// The most threads. One thread moves more than a fast network card delivers.
    private static let maximumThreads = 4
    /// The most transfers at a time. Each needs four descriptors, or six with verification.
    private static let maximumTransfers = 512

    private struct State {
        /// `nil` until first use.
        var threads: [SpliceThread?]
        var next = 0
        var isClosed = false
    }

    private let pipes = SplicePipePool()
    private let timeout: Duration
    private let limit: Int
    private let state: Mutex<State>
    private let transfers = Atomic(0)
    private let allTransfers = Atomic(0)
    /// Set as soon as the kernel refuses one of the system calls.
    private let isUnsupported = Atomic(false)

    /// A splicer without transfers.
    ///
    /// - Parameters:
    ///   - timeout: the longest pause of a source while its destination accepts bytes.
    ///   - cores: the number of processor cores, which limits the number of threads.
    package init(timeout: Duration, cores: Int) {
        self.timeout = timeout
        var descriptors = rlimit()
        let isKnown = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &descriptors) == 0
        // Where descriptors are few, most of them are left for connections.
        limit = isKnown ? min(Self.maximumTransfers, Int(clamping: descriptors.rlim_cur / 32)) : 16
        let threads = min(Self.maximumThreads, max(1, cores))
        state = Mutex(State(threads: Array(repeating: nil, count: threads)))
    }

    /// Whether ``begin(_:from:to:verification:onBytes:onEnd:)`` can succeed now.
    package var isAble: Bool {
        !isUnsupported.load(ordering: .relaxed) && transfers.load(ordering: .relaxed) < limit
    }

    /// The number of transfers in flight.
    package var current: Int { transfers.load(ordering: .relaxed) }
    /// The number of transfers since the start.
    package var begun: Int { allTransfers.load(ordering: .relaxed) }

    /// Starts a transfer.
    ///
    /// The transfer closes `destination` at its end, and `source` unless it was complete.
    ///
    /// - Parameters:
    ///   - verification: hashes the bytes, and compares their digest before the last of them leaves.
    ///   - onBytes: receives the number of bytes from the source since the last call, now and then and before the end.
    ///   - onEnd: receives the result once, on any thread.
    /// - Returns: `nil` if the transfer is not possible. Both sockets are unchanged then.
    package func begin(
        _ count: Int64,
        from source: SocketDescriptor,
        to destination: SocketDescriptor,
        verification: DigestVerification? = nil,
        onBytes: @escaping @Sendable (Int) -> Void,
        onEnd: @escaping @Sendable (SpliceResult) -> Void
    ) -> SpliceHandle? {
        guard isAble, count > 0, let pipe = pipes.take(), let thread = nextThread() else { return nil }
        let copyPipe = verification == nil ? nil : pipes.take()
        guard verification == nil || copyPipe != nil else {
            pipes.put(pipe)
            return nil
        }
        var start = SpliceProgress(
            total: count,
            largestFill: SplicePipe.size,
            timeout: timeout,
            isHashed: verification != nil,
            now: .now
        )
        guard case .fill(let first) = start.step else { return nil }
        let outcome = pipe.fill(from: source.number, first)
        switch outcome {
        case .moved, .wouldBlock: start.filled(outcome, now: .now)
        case .closed, .failed:
            pipes.put(pipe)
            if let copyPipe { pipes.put(copyPipe) }
            if outcome == .failed(EINVAL) || outcome == .failed(ENOSYS) {
                isUnsupported.store(true, ordering: .relaxed)
            }
            return nil
        }
        transfers.wrappingAdd(1, ordering: .relaxed)
        allTransfers.wrappingAdd(1, ordering: .relaxed)
        let splice = Splice(
            source: source,
            destination: destination,
            pipe: pipe,
            copyPipe: copyPipe,
            start: start,
            verification: verification,
            onBytes: onBytes,
            onEnd: { [weak self] result in
                self?.transfers.wrappingSubtract(1, ordering: .relaxed)
                switch result.end {
                case .destinationFailed(EINVAL), .hashFailed(EINVAL), .hashFailed(ENOSYS):
                    self?.isUnsupported.store(true, ordering: .relaxed)
                default: break
                }
                onEnd(result)
            }
        )
        thread.begin(splice)
        return SpliceHandle(splice: splice, thread: thread)
    }

    /// Ends all threads, and stops their transfers.
    package func close() {
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

/// The caller's reference to a transfer in flight.
package struct SpliceHandle: Sendable {
    fileprivate let splice: Splice
    fileprivate let thread: SpliceThread

    fileprivate init(splice: Splice, thread: SpliceThread) {
        self.splice = splice
        self.thread = thread
    }

    /// The number of bytes that have reached the destination so far.
    package var delivered: Int64 { splice.delivered }

    /// Whether the destination did not accept bytes at once since the last call.
    package func takeBlocked() -> Bool { splice.takeBlocked() }

    /// Stops the transfer as soon as the destination has all bytes that have come.
    package func leave() { thread.leave(splice) }

    /// Stops the transfer, which soon closes both descriptors.
    package func stop() { thread.stop(splice) }
}
