import ContentStore
import NIOCore
import OCI

/// The part of a body that is held back until its digest was checked: all of it, or only the last chunk.
struct UnverifiedBody {
    private enum Mode {
        case whole(ByteBuffer)
        case lastChunk(ByteBuffer?)
    }

    /// What has seen all that was taken.
    var hasher: DigestHasher
    private var mode: Mode

    /// Holds content of the given size back as a whole.
    init(whole size: Int, algorithm: Digest.Algorithm, allocator: ByteBufferAllocator) {
        hasher = DigestHasher(algorithm)
        mode = .whole(allocator.buffer(capacity: size))
    }

    /// Holds back the chunk that came last.
    init(lastChunkHashedBy algorithm: Digest.Algorithm) {
        hasher = DigestHasher(algorithm)
        mode = .lastChunk(nil)
    }

    /// Takes a chunk.
    ///
    /// - Returns: what may go out now.
    mutating func take(_ chunk: ByteBuffer) -> ByteBuffer? {
        chunk.withUnsafeReadableBytes { hasher.update($0) }
        switch mode {
        case .whole(var bytes):
            // The buffer must have one owner while it is written to, or it is copied.
            mode = .lastChunk(nil)
            bytes.writeImmutableBuffer(chunk)
            mode = .whole(bytes)
            return nil
        case .lastChunk(let previous):
            mode = .lastChunk(chunk)
            return previous
        }
    }

    /// Gives away the chunk that came last; of a body that is held back as a whole, nothing.
    mutating func takeLastChunk() -> ByteBuffer? {
        guard case .lastChunk(let chunk) = mode else { return nil }
        mode = .lastChunk(nil)
        return chunk
    }

    /// Whether all that was taken has the digest.
    func matches(_ digest: Digest) -> Bool {
        hasher.finish() == digest
    }

    /// What is held back.
    var bytes: ByteBuffer? {
        switch mode {
        case .whole(let bytes): bytes
        case .lastChunk(let bytes): bytes
        }
    }
}
