/// The memory through which a thread reads the bytes that it hashes.
final class HashBuffer {
    /// Small enough that the bytes are still in the processor's cache when they are hashed.
    private static let size = 64 << 10

    private let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 64)

    deinit { bytes.deallocate() }

    /// Reads `count` bytes out of a pipe, piece by piece.
    ///
    /// - Returns: the outcome that cut the reading short, or `nil` if all bytes were read.
    func read(_ count: Int, from pipe: SplicePipe, _ use: (UnsafeRawBufferPointer) -> Void) -> MoveOutcome? {
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
