import ContentStore

/// What a ``SpliceLoop`` looks at bytes with that pass through the kernel: they are copied from the pipe to another one,
/// which costs nothing, and read from there.
final class SpliceTap {
    /// How many bytes are read at a time: they are hashed while they are in the processor's cache.
    private static let bufferSize = 64 << 10

    private let pipe: SplicePipe
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bufferSize, alignment: 64)

    /// `nil` when the system has no pipe to give.
    init?() {
        guard let pipe = SplicePipe() else { return nil }
        self.pipe = pipe
    }

    deinit { buffer.deallocate() }

    /// Hashes the first bytes in a pipe, and leaves them there.
    ///
    /// - Returns: how many were hashed. After a failure this tap is of no use any more.
    func hash(_ count: Int, in source: SplicePipe, with hasher: inout DigestHasher) -> SpliceProgress.Outcome {
        let outcome = source.copy(to: pipe, count)
        guard case .moved(let copied) = outcome else { return outcome }
        var left = copied
        while left > 0 {
            let outcome = pipe.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(left)))
            guard case .moved(let read) = outcome, read > 0, read <= left else {
                return outcome == .moved(0) ? .closed : outcome
            }
            hasher.update(UnsafeRawBufferPointer(rebasing: buffer.prefix(read)))
            left -= read
        }
        return outcome
    }
}
