import Synchronization

/// One transfer that the kernel carries out. Any thread makes it, one thread of the module runs it, and any thread can read
/// its count or stop it.
final class Splice: Sendable {
    /// The number of bytes between two calls of ``onBytes``. The last call comes at the end, for the rest.
    static let bytesBetweenReports: Int64 = 16 << 20

    /// The source. The transfer owns this descriptor, so that its number cannot become that of another socket.
    let source: SocketDescriptor
    /// The destination, owned for the same reason.
    let destination: SocketDescriptor
    let pipe: SplicePipe
    /// The pipe that receives a copy of the bytes, to be hashed; `nil` without verification.
    let copyPipe: SplicePipe?
    /// The progress with which the thread begins.
    let start: SpliceProgress
    let verification: DigestVerification?
    /// Receives, on the thread, the number of bytes from the source since the last call.
    let onBytes: @Sendable (Int) -> Void
    /// Receives the result exactly once, on the thread; on the caller's thread if the transfer never began.
    let onEnd: @Sendable (SpliceResult) -> Void

    private let deliveredBytes = Atomic<Int64>(0)
    private let stopFlag = Atomic(false)
    private let leaveFlag = Atomic(false)
    private let blockFlag = Atomic(false)

    init(
        source: SocketDescriptor,
        destination: SocketDescriptor,
        pipe: SplicePipe,
        copyPipe: SplicePipe?,
        start: SpliceProgress,
        verification: DigestVerification?,
        onBytes: @escaping @Sendable (Int) -> Void,
        onEnd: @escaping @Sendable (SpliceResult) -> Void
    ) {
        self.source = source
        self.destination = destination
        self.pipe = pipe
        self.copyPipe = copyPipe
        self.start = start
        self.verification = verification
        self.onBytes = onBytes
        self.onEnd = onEnd
    }

    /// The number of bytes that have reached the destination so far.
    var delivered: Int64 {
        get { deliveredBytes.load(ordering: .relaxed) }
        set { deliveredBytes.store(newValue, ordering: .relaxed) }
    }

    /// Notes that the destination did not accept bytes at once.
    func markBlocked() {
        blockFlag.store(true, ordering: .relaxed)
    }

    /// Whether the destination did not accept bytes at once since the last call.
    func takeBlocked() -> Bool {
        blockFlag.exchange(false, ordering: .relaxed)
    }

    /// Whether ``markLeaving()`` was called.
    var isLeaving: Bool { leaveFlag.load(ordering: .acquiring) }

    /// Marks the transfer to be stopped once its pipe is empty.
    func markLeaving() {
        leaveFlag.store(true, ordering: .releasing)
    }

    /// Whether ``markStopped()`` was called.
    var isStopped: Bool { stopFlag.load(ordering: .acquiring) }

    /// Marks the transfer as stopped.
    ///
    /// - Returns: whether this call is the first.
    func markStopped() -> Bool {
        !stopFlag.exchange(true, ordering: .acquiringAndReleasing)
    }
}
