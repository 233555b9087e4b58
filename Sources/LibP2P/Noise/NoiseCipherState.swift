import Crypto
package import FoundationEssentials

/// A key and the number of messages encrypted with it (Noise, section 5.1; ChaChaPoly, section 12.3).
public struct NoiseCipherState: Sendable {
    /// The length of an authentication tag in bytes.
    public static let tagLength = 16

    private let key: SymmetricKey
    /// The nonce of the next message. The highest value is reserved and never used.
    public private(set) var nonce: UInt64

    package init(key: SymmetricKey, nonce: UInt64 = 0) {
        self.key = key
        self.nonce = nonce
    }

    /// Encrypts one message and increments the nonce.
    ///
    /// - Throws: ``NoiseError/nonceExhausted``.
    package mutating func encrypt(
        _ plaintext: some DataProtocol,
        authenticating associatedData: some DataProtocol
    ) throws(NoiseError) -> ChaChaPoly.SealedBox {
        let nonce = try currentNonce()
        do {
            let box = try ChaChaPoly.seal(plaintext, using: key, nonce: nonce, authenticating: associatedData)
            self.nonce &+= 1
            return box
        } catch {
            throw .localKeyFailure(reason: "\(error)")
        }
    }

    /// Decrypts one message, whose last 16 bytes are the tag, and increments the nonce. An error leaves the nonce
    /// unchanged.
    ///
    /// - Throws: ``NoiseError/messageTooShort(expected:actual:)``, ``NoiseError/authenticationFailed``,
    ///   ``NoiseError/nonceExhausted``.
    package mutating func decrypt<Message: DataProtocol>(
        _ message: Message,
        authenticating associatedData: some DataProtocol
    ) throws(NoiseError) -> Data {
        let nonce = try currentNonce()
        guard message.count >= Self.tagLength else {
            throw .messageTooShort(expected: Self.tagLength, actual: message.count)
        }
        let (ciphertext, tag) = (message.dropLast(Self.tagLength), message.suffix(Self.tagLength))
        guard let box = try? ChaChaPoly.SealedBox(nonce: nonce, ciphertext: ciphertext, tag: tag),
            let plaintext = try? ChaChaPoly.open(box, using: key, authenticating: associatedData)
        else { throw .authenticationFailed }
        self.nonce &+= 1
        return plaintext
    }

    /// Four zero bytes, then the counter in little-endian order.
    private func currentNonce() throws(NoiseError) -> ChaChaPoly.Nonce {
        guard nonce < .max else { throw .nonceExhausted }
        var bytes = [UInt8](repeating: 0, count: 4)
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: nonce >> shift))
        }
        guard let value = try? ChaChaPoly.Nonce(data: bytes) else { throw .nonceExhausted }
        return value
    }
}
