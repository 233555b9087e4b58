import Crypto
import Testing

@testable import LibP2P

/// The published vectors for Noise_XX_25519_ChaChaPoly_SHA256.
@Suite struct NoiseVectorTests {
    struct Vector: Sendable {
        let name: String
        let prologue: String
        let initiatorStatic: String
        let initiatorEphemeral: String
        let responderStatic: String
        let responderEphemeral: String
        let handshakeHash: String?
        /// Payload and message; the first three are the handshake.
        let messages: [(String, String)]
        let firstAfterHandshake: NoiseRole
    }

    static let vectors = [
        Vector(
            name: "cacophony",
            prologue: "4a6f686e2047616c74",
            initiatorStatic: "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1",
            initiatorEphemeral: "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
            responderStatic: "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893",
            responderEphemeral: "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b",
            handshakeHash: "c8e5f64e846193be2a834104c2a009868d6c9f3bd3c186299888b488b2f1f58e",
            messages: [
                (
                    "4c756477696720766f6e204d69736573",
                    "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79444c756477696720766f6e204d69736573"
                ),
                (
                    "4d757272617920526f746862617264",
                    "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f14480884381cbad1f276e038c48378ffce2b65285"
                        + "e08d6b68aaa3629a5a8639392490e5b9bd5269c2f1e4f488ed8831161f19b7815528f8982ffe09be9b5c412f8a0d"
                        + "b50f8814c7194e83f23dbd8d162c9326ad"
                ),
                (
                    "462e20412e20486179656b",
                    "c7195ffacac1307ff99046f219750fc47693e23c3cb08b89c2af808b444850a80ae475b9df0f169ae80a89be0865b57f"
                        + "58c9fea0d4ec82a286427402f113e4b6ae769a1d95941d49b25030"
                ),
                ("4361726c204d656e676572", "96763ed773f8e47bb3712f0e29b3060ffc956ffc146cee53d5e1df"),
                (
                    "4a65616e2d426170746973746520536179",
                    "3e40f15f6f3a46ae446b253bf8b1d9ffb6ed9b174d272328ff91a7e2e5c79c07f5"
                ),
                (
                    "457567656e2042f6686d20766f6e2042617765726b",
                    "eb3f3515110702e047a6c9da4478b6ead94873c11c0f2d710ddb3f09fce024b3a58502ae3f"
                ),
            ],
            firstAfterHandshake: .responder
        ),
        Vector(
            name: "flynn/noise, with payloads",
            prologue: "",
            initiatorStatic: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            initiatorEphemeral: "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
            responderStatic: "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
            responderEphemeral: "4142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f60",
            handshakeHash: nil,
            messages: [
                (
                    "746573745f6d73675f30",
                    "358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd166254746573745f6d73675f30"
                ),
                (
                    "746573745f6d73675f31",
                    "64b101b1d0be5a8704bd078f9895001fc03e8e9f9522f188dd128d9846d484663414af878d3e46a2f58911a816d6e834"
                        + "6d4ea17a6f2a0bb4ef4ed56c133cff4572e7a2ba5123ac30618b3d205f5c2d17f50cbca216483ac56bcc78e33bf5"
                        + "20303278db641e5e731b2e3a"
                ),
                (
                    "746573745f6d73675f32",
                    "87f864c11ba449f46a0a4f4e2eacbb7b0457784f4fca1937f572c93603e9c4d9f27e318e43ba630594c4d08eeb3b36d9"
                        + "7c7377a2f4f9144b2f0c8095ad92140505b2ab53eff244b14138"
                ),
                ("79656c6c6f777375626d6172696e65", "a52ef02ba60e12696d1d6b9ef4245c88fca757b6134ad6e76b56e310a6adf6"),
                ("7375626d6172696e6579656c6c6f77", "2445aa438ebd649281c636cc7269ca82f1d9023d72520943aeabf909cdf521"),
            ],
            firstAfterHandshake: .initiator
        ),
    ]

    @Test(arguments: NoiseVectorTests.vectors)
    func everyMessageMatchesVector(vector: Vector) throws {
        func pattern(_ role: NoiseRole, _ staticKey: String, _ ephemeralKey: String) throws -> NoisePattern {
            try NoisePattern(
                role: role,
                staticKey: .init(rawRepresentation: [UInt8](hex: staticKey)),
                ephemeralKey: .init(rawRepresentation: [UInt8](hex: ephemeralKey)),
                prologue: [UInt8](hex: vector.prologue)
            )
        }
        var initiator = try pattern(.initiator, vector.initiatorStatic, vector.initiatorEphemeral)
        var responder = try pattern(.responder, vector.responderStatic, vector.responderEphemeral)
        for (index, (payload, message)) in vector.messages.prefix(3).enumerated() {
            let written: [UInt8]
            let read: [UInt8]
            if index == 1 {
                written = try responder.write(payload: [UInt8](hex: payload))
                read = try initiator.read(written)
            } else {
                written = try initiator.write(payload: [UInt8](hex: payload))
                read = try responder.read(written)
            }
            #expect(written.hex == message)
            #expect(read.hex == payload)
        }
        #expect(initiator.handshakeHash == responder.handshakeHash)
        if let hash = vector.handshakeHash { #expect(initiator.handshakeHash.hex == hash) }

        var ends: [NoiseRole: (sending: NoiseCipherState, receiving: NoiseCipherState)] = [
            .initiator: try initiator.split(), .responder: try responder.split(),
        ]
        var sender = vector.firstAfterHandshake
        for (payload, message) in vector.messages.dropFirst(3) {
            let receiver: NoiseRole = sender == .initiator ? .responder : .initiator
            let sealed = try ends[sender]?.sending.encrypt([UInt8](hex: payload), authenticating: [UInt8]())
            let box = try #require(sealed)
            let written = Array(box.ciphertext) + Array(box.tag)
            #expect(written.hex == message)
            let read = try ends[receiver]?.receiving.decrypt(written, authenticating: [UInt8]())
            #expect(read.map { Array($0).hex } == payload)
            sender = receiver
        }
    }
}
