import ContentStore
import NIOCore
import OCI
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
    /// What is hashed is read from here.
    let side: SplicePipe?
    /// Where the thread begins.
    let start: SpliceProgress
    /// Called on the thread with the number of bytes that came from the peer since the last call.
    let onBytes: @Sendable (Int) -> Void
    /// Has what passes be hashed.
    let check: SpliceCheck?
    /// Called on the thread, once, unless it was called off before.
    let onEnd: @Sendable (SpliceResult) -> Void

    private let givenBytes = Atomic<Int64>(0)
    private let stopFlag = Atomic(false)

    init(
        peer: SocketDescriptor,
        client: SocketDescriptor,
        pipe: SplicePipe,
        side: SplicePipe?,
        start: SpliceProgress,
        check: SpliceCheck?,
        onBytes: @escaping @Sendable (Int) -> Void,
        onEnd: @escaping @Sendable (SpliceResult) -> Void
    ) {
        self.peer = peer
        self.client = client
        self.pipe = pipe
        self.side = side
        self.start = start
        self.check = check
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

/// Has the bytes of a body be hashed on their way through the kernel, and their digest be checked before the last of them
/// reaches the client.
struct SpliceCheck: Sendable {
    /// What has seen all bytes before.
    let hasher: DigestHasher
    /// What the content is to have.
    let digest: Digest
}

/// How the moving of a body has ended.
struct SpliceResult: Sendable {
    let end: SpliceProgress.End
    /// How many bytes have gone to the client.
    let given: Int64
    /// What has seen these bytes, all before them and no others, where they were hashed.
    let hasher: DigestHasher?
}
