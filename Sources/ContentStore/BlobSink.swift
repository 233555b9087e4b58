import Crypto
import Files
import OCI

/// Content on its way into an image layout: written beside its place, hashed as it comes, and put in place at the end.
/// When it is dropped before, nothing stays behind.
public final class BlobSink {
    private enum Hasher {
        case sha256(SHA256)
        case sha512(SHA512)
    }

    private let layout: ImageLayout
    private let algorithm: OCI.Digest.Algorithm
    private let file: TemporaryFile
    private var hasher: Hasher
    private var size: Int64 = 0

    init(layout: ImageLayout, algorithm: OCI.Digest.Algorithm) throws(FileError) {
        self.layout = layout
        self.algorithm = algorithm
        let folder = layout.blobsFolder(algorithm)
        try Files.makeFolder(folder)
        file = try TemporaryFile(besides: folder + "/blob", mode: 0o644)
        hasher =
            switch algorithm {
            case .sha256: .sha256(SHA256())
            case .sha512: .sha512(SHA512())
            }
    }

    /// Appends bytes.
    ///
    /// - Throws: `FileError` when the disk is full or fails.
    public func write(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
        try file.write(bytes)
        switch hasher {
        case .sha256(var hash):
            hash.update(bufferPointer: bytes)
            hasher = .sha256(hash)
        case .sha512(var hash):
            hash.update(bufferPointer: bytes)
            hasher = .sha512(hash)
        }
        size += Int64(bytes.count)
    }

    /// Appends bytes.
    public func write(_ bytes: [UInt8]) throws(FileError) {
        try bytes.withUnsafeBufferPointer { (buffer) throws(FileError) in
            try write(UnsafeRawBufferPointer(buffer))
        }
    }

    /// Puts the content in place, flushed to the disk.
    ///
    /// - Parameter expected: the digest that the content must have; its algorithm must be that of the sink.
    /// - Returns: what is now held.
    /// - Throws: ``ImageLayoutError/digestMismatch(expected:found:)``; the content is then dropped.
    public func finish(expected: OCI.Digest? = nil) throws -> StoredContent {
        let found =
            switch hasher {
            case .sha256(let hash): OCI.Digest(algorithm: algorithm, bytes: hash.finalize())
            case .sha512(let hash): OCI.Digest(algorithm: algorithm, bytes: hash.finalize())
            }
        guard let digest = found else { preconditionFailure("a hash has the length of its algorithm") }
        if let expected, expected != digest {
            throw ImageLayoutError.digestMismatch(expected: expected, found: digest)
        }
        try file.rename(to: layout.blobFile(digest))
        return StoredContent(digest: digest, size: size)
    }
}
