import ContentStore
import Mirroring
import NIOCore
import OCI

/// What one transfer holds back until its digest was checked, and the part of the budget that it takes for that.
struct VerificationBuffer {
    private let budget: VerificationBudget
    private var body: UnverifiedBody?
    private var reserved = 0

    init(budget: VerificationBudget) {
        self.budget = budget
    }

    /// Whether anything is held back, now or once it comes.
    var isActive: Bool { body != nil }

    /// Begins to hold content back: whole if there is room for it.
    ///
    /// - Returns: whether there is.
    mutating func hold(_ content: PromisedContent) -> Bool {
        guard let algorithm = content.digest?.algorithm, let size = Int(exactly: content.size) else { return false }
        guard budget.reserve(size) else {
            holdLastChunk(algorithm)
            return false
        }
        reserved = size
        body = UnverifiedBody(whole: size, algorithm: algorithm, allocator: ByteBufferAllocator())
        return true
    }

    /// Begins to hold back the chunk that came last.
    mutating func holdLastChunk(_ algorithm: Digest.Algorithm) {
        body = UnverifiedBody(lastChunkHashedBy: algorithm)
    }

    /// Takes a chunk.
    ///
    /// - Returns: what may go out now.
    mutating func take(_ chunk: ByteBuffer) -> ByteBuffer? {
        body?.take(chunk)
    }

    /// Gives away the chunk that is held back though more is to come, since it will be hashed elsewhere.
    mutating func takeLastChunk() -> ByteBuffer? {
        body?.takeLastChunk()
    }

    /// What has seen all that came. To be set again after more was hashed elsewhere.
    var hasher: DigestHasher? {
        get { body?.hasher }
        set {
            if let newValue { body?.hasher = newValue }
        }
    }

    /// All of the content, where all is held back.
    var whole: ByteBuffer? { reserved > 0 ? body?.bytes : nil }

    /// Whether all that came is what a digest says; `nil` when nothing is held back.
    func matches(_ digest: Digest) -> Bool? {
        body?.matches(digest)
    }

    /// Hands over what is held back, and with it its part of the budget, which is to be released when the bytes have left.
    mutating func takeAll() -> (bytes: ByteBuffer, release: @Sendable () -> Void)? {
        guard let bytes = body?.bytes else { return nil }
        let (budget, size) = (budget, reserved)
        reserved = 0
        body = nil
        return (bytes, { budget.release(size) })
    }

    /// Forgets what is held back.
    mutating func release() {
        body = nil
        guard reserved > 0 else { return }
        budget.release(reserved)
        reserved = 0
    }
}
