internal import Crypto
public import OCI

/// An incremental digest computation.
public struct DigestHasher: Sendable {
    private enum State: Sendable {
        case sha256(SHA256)
        case sha512(SHA512)
    }

    private var state: State

    /// Creates a hasher for no bytes yet.
    public init(_ algorithm: OCI.Digest.Algorithm) {
        state =
            switch algorithm {
            case .sha256: .sha256(SHA256())
            case .sha512: .sha512(SHA512())
            }
    }

    /// Adds bytes.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        switch state {
        case .sha256(var hash):
            hash.update(bufferPointer: bytes)
            state = .sha256(hash)
        case .sha512(var hash):
            hash.update(bufferPointer: bytes)
            state = .sha512(hash)
        }
    }

    /// The digest of all bytes so far.
    public func finish() -> OCI.Digest {
        let digest =
            switch state {
            case .sha256(let hash): hash.finalize().withUnsafeBytes { OCI.Digest(algorithm: .sha256, bytes: $0) }
            case .sha512(let hash): hash.finalize().withUnsafeBytes { OCI.Digest(algorithm: .sha512, bytes: $0) }
            }
        // The output of each hash function has the length of its algorithm.
        guard let digest else { preconditionFailure("hash output has the wrong length") }
        return digest
    }
}
