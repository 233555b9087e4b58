/// The memory into which a ``SpliceLoop`` reads what it hashes.
final class SpliceBuffer {
    /// How many bytes are read at a time: few enough to be hashed while they are in the processor's cache.
    private static let size = 64 << 10

    private let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 64)

    deinit { bytes.deallocate() }

    /// Takes bytes out of a pipe which has as many.
    ///
    /// - Returns: what came instead, if they are not all there.
    func read(_ count: Int, from pipe: SplicePipe, _ use: (UnsafeRawBufferPointer) -> Void) -> SpliceProgress.Outcome? {
        var left = count
        while left > 0 {
            let outcome = pipe.read(into: UnsafeMutableRawBufferPointer(rebasing: bytes.prefix(left)))
            guard case .moved(let read) = outcome, read > 0, read <= left else { return outcome }
            use(UnsafeRawBufferPointer(rebasing: bytes.prefix(read)))
            left -= read
        }
        return nil
    }
}
