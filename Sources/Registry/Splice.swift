import NIOCore
import Synchronization

/// One body that the kernel moves from a peer's socket to a client's. It is made on an event loop, carried out by a
/// ``SpliceThread``, and can be looked at and called off from anywhere.
final class Splice: Sendable {
    /// How many bytes pass before they are told to ``onBytes``, if it is not the end.
    static let bytesBetweenReports: Int64 = 16 << 20

    /// The peer's socket; a descriptor of our own, so that its number cannot become another socket's.
    let peer: SocketDescriptor
    /// The client's, likewise.
    let client: SocketDescriptor
    let pipe: SplicePipe
    /// Where the thread begins.
    let start: SpliceProgress
    /// Called on the thread with the number of bytes that came from the peer since the last call.
    let onBytes: @Sendable (Int) -> Void
    /// Called on the thread, once, unless it was called off before; with how many bytes have gone to the client.
    let onEnd: @Sendable (SpliceProgress.End, Int64) -> Void

    private let givenBytes = Atomic<Int64>(0)
    private let stopFlag = Atomic(false)

    init(
        peer: SocketDescriptor,
        client: SocketDescriptor,
        pipe: SplicePipe,
        start: SpliceProgress,
        onBytes: @escaping @Sendable (Int) -> Void,
        onEnd: @escaping @Sendable (SpliceProgress.End, Int64) -> Void
    ) {
        self.peer = peer
        self.client = client
        self.pipe = pipe
        self.start = start
        self.onBytes = onBytes
        self.onEnd = onEnd
    }

    /// How many bytes have gone to the client so far.
    var given: Int64 {
        get { givenBytes.load(ordering: .relaxed) }
        set { givenBytes.store(newValue, ordering: .relaxed) }
    }

    /// Whether it was called off.
    var isStopped: Bool { stopFlag.load(ordering: .acquiring) }

    /// Notes that it is called off.
    ///
    /// - Returns: whether it was not before.
    func markStopped() -> Bool {
        !stopFlag.exchange(true, ordering: .acquiringAndReleasing)
    }
}
