import Crypto
internal import FoundationEssentials

/// The running hash and keys of a handshake (Noise, section 5.2), with SHA-256.
struct NoiseSymmetricState: Sendable {
    private var chainingKey: [UInt8]
    private(set) var hash: [UInt8]
    private var cipher: NoiseCipherState?

    /// - Parameter protocolName: a name of the length of a hash is the first hash itself; a longer one is hashed.
    init(protocolName: StaticString) {
        let name = Array(protocolName.description.utf8)
        hash = name.count == SHA256.byteCount ? name : Array(SHA256.hash(data: name))
        chainingKey = hash
    }

    /// The number of bytes that encryption adds at this point.
    var overhead: Int { cipher == nil ? 0 : NoiseCipherState.tagLength }

    mutating func mixHash(_ data: some Sequence<UInt8>) {
        hash = Array(SHA256.hash(data: hash + data))
    }

    mutating func mixKey(_ secret: SharedSecret) {
        mixKey(secret.withUnsafeBytes { Array($0) })
    }

    mutating func mixKey(_ material: [UInt8]) {
        let (first, second) = deriveKeys(from: material)
        chainingKey = first
        cipher = NoiseCipherState(key: SymmetricKey(data: second))
    }

    /// Mixes in a pre-shared key (Noise, section 9.1).
    mutating func mixKeyAndHash(_ preSharedKey: SymmetricKey) {
        let key = hmac(chainingKey, preSharedKey.withUnsafeBytes { Array($0) })
        let first = hmac(key, [1])
        let second = hmac(key, first + [2])
        chainingKey = first
        mixHash(second)
        cipher = NoiseCipherState(key: SymmetricKey(data: hmac(key, second + [3])))
    }

    mutating func encryptAndHash(_ plaintext: [UInt8]) throws(NoiseError) -> [UInt8] {
        var output = plaintext
        if let box = try cipher?.encrypt(plaintext, authenticating: hash) {
            output = Array(box.ciphertext) + Array(box.tag)
        }
        mixHash(output)
        return output
    }

    mutating func decryptAndHash(_ input: ArraySlice<UInt8>) throws(NoiseError) -> [UInt8] {
        let plaintext = try cipher?.decrypt(input, authenticating: hash).map { $0 } ?? Array(input)
        mixHash(input)
        return plaintext
    }

    /// The cipher states for messages of the initiator and of the responder.
    func split() -> (initiator: NoiseCipherState, responder: NoiseCipherState) {
        let (first, second) = deriveKeys(from: [])
        return (
            NoiseCipherState(key: SymmetricKey(data: first)),
            NoiseCipherState(key: SymmetricKey(data: second))
        )
    }

    /// HKDF with two outputs (Noise, section 4.3).
    private func deriveKeys(from material: [UInt8]) -> ([UInt8], [UInt8]) {
        let key = hmac(chainingKey, material)
        let first = hmac(key, [1])
        return (first, hmac(key, first + [2]))
    }

    private func hmac(_ key: some ContiguousBytes, _ data: [UInt8]) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: data, using: SymmetricKey(data: key)))
    }
}
