import Files
import OCI

/// Content on its way into an image layout: a temporary file that is hashed as it grows and renamed at the end. An
/// unfinished sink leaves nothing behind.
public final class BlobSink {
    private let layout: ImageLayout
    private let file: TemporaryFile
    private var hasher: DigestHasher
    private var size: Int64 = 0

    init(layout: ImageLayout, algorithm: Digest.Algorithm) throws(FileError) {
        self.layout = layout
        let folder = layout.blobsFolder(algorithm)
        try Files.makeFolder(folder)
        file = try TemporaryFile(besides: folder + "/blob", mode: 0o644)
        hasher = DigestHasher(algorithm)
    }

    /// Appends bytes.
    ///
    /// - Throws: `FileError`, for example when the disk is full.
    public func write(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
        try file.write(bytes)
        hasher.update(bytes)
        size += Int64(bytes.count)
    }

    /// Appends bytes.
    public func write(_ bytes: [UInt8]) throws(FileError) {
        try bytes.withUnsafeBufferPointer { (buffer) throws(FileError) in
            try write(UnsafeRawBufferPointer(buffer))
        }
    }

    /// Flushes the content to disk and renames it into place.
    ///
    /// - Parameter expected: the digest that the content must have; its algorithm must be that of the sink.
    /// - Returns: the stored content.
    /// - Throws: ``ImageLayoutError/digestMismatch(expected:found:)`` after removing the content.
    public func finish(expected: Digest? = nil) throws -> StoredContent {
        let digest = hasher.finish()
        if let expected, expected != digest {
            throw ImageLayoutError.digestMismatch(expected: expected, found: digest)
        }
        try file.rename(to: layout.blobFile(digest))
        return StoredContent(digest: digest, size: size)
    }
}
