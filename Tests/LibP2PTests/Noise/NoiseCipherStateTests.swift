import Crypto
import Testing

@testable import LibP2P

@Suite struct NoiseCipherStateTests {
    private let key = SymmetricKey(data: [UInt8](0..<32))

    @Test func lastNonceIsNeverUsed() throws {
        var state = NoiseCipherState(key: key, nonce: .max - 1)
        let box = try state.encrypt([1, 2, 3] as [UInt8], authenticating: [UInt8]())
        #expect(state.nonce == .max)
        #expect(throws: NoiseError.nonceExhausted) { try state.encrypt([UInt8](), authenticating: [UInt8]()) }
        var receiver = NoiseCipherState(key: key, nonce: .max)
        #expect(throws: NoiseError.nonceExhausted) {
            try receiver.decrypt(Array(box.ciphertext) + Array(box.tag), authenticating: [UInt8]())
        }
    }

    @Test func errorKeepsNonce() throws {
        var sender = NoiseCipherState(key: key)
        var receiver = sender
        let box = try sender.encrypt([1, 2, 3] as [UInt8], authenticating: [UInt8]())
        let message = Array(box.ciphertext) + Array(box.tag)
        for index in message.indices {
            var changed = message
            changed[index] ^= 0x80
            #expect(throws: NoiseError.authenticationFailed) {
                try receiver.decrypt(changed, authenticating: [UInt8]())
            }
        }
        for count in 0..<NoiseCipherState.tagLength {
            #expect(throws: NoiseError.messageTooShort(expected: 16, actual: count)) {
                try receiver.decrypt(Array(message.prefix(count)), authenticating: [UInt8]())
            }
        }
        #expect(receiver.nonce == 0)
        let plaintext = try receiver.decrypt(message, authenticating: [UInt8]())
        #expect(Array(plaintext) == [1, 2, 3])
        #expect(throws: NoiseError.authenticationFailed, "a message is not accepted twice") {
            try receiver.decrypt(message, authenticating: [UInt8]())
        }
    }

    @Test func emptyMessage() throws {
        var sender = NoiseCipherState(key: key)
        var receiver = sender
        let box = try sender.encrypt([UInt8](), authenticating: [UInt8]())
        let plaintext = try receiver.decrypt(Array(box.tag), authenticating: [UInt8]())
        #expect(plaintext.isEmpty)
    }
}
