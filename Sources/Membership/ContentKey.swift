import Crypto
import CryptoExtras
internal import FoundationEssentials

/// The keys of requests for content and of their answers. There are two, so that no proof of one kind passes for one of the
/// other.
public struct ContentKey: Equatable, Sendable {
    /// The rounds of the derivation from a password. They make each guess of a password cost about 0.1 s.
    static let passwordRounds = 210_000

    let requests: SymmetricKey
    let answers: SymmetricKey

    init(_ root: SymmetricKey) {
        requests = ClusterKey.derive("content request", from: root)
        answers = ClusterKey.derive("content answer", from: root)
    }

    /// The keys for a password (PBKDF2, RFC 8018). It is slow on purpose: call it once for a password.
    public init(username: [UInt8], password: [UInt8]) {
        let salt = [UInt8]("spegel password proof 1:".utf8) + username
        let root = try? KDF.Insecure.PBKDF2.deriveKey(
            from: password,
            salt: salt,
            using: .sha256,
            outputByteCount: 32,
            unsafeUncheckedRounds: Self.passwordRounds
        )
        // The derivation fails only for parameters that it does not support, which these are not.
        self.init(root ?? SymmetricKey(size: .bits256))
    }
}
