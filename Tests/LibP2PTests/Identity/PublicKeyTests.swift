import Crypto
import Multiformats
import Testing

@testable import LibP2P

@Suite struct PublicKeyTests {
    // libp2p/specs, peer-ids, test vectors, with the ids of other implementations.
    static let ed25519 = "080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e"
    static let secp256k1 = "08021221037777e994e452c21604f91de093ce415f5432f701dd8cd1a7a6fea0e630bfca99"
    static let ecdsa =
        "0803125b3059301306072a8648ce3d020106082a8648ce3d03010703420004de3d300fa36ae0e8f5d530899d83abab44abf3161f162a4bc9"
        + "01d8e6ecda020e8b6d5f8da30525e71d6851510c098e5c47c646a597fb4dcec034e9f77c409e62"

    @Test(arguments: [
        (PublicKeyTests.ed25519, PublicKey.KeyType.ed25519, "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"),
        (PublicKeyTests.secp256k1, .secp256k1, "16Uiu2HAmLhLvBoYaoZfaMUKuibM6ac163GwKY74c5kiSLg5KvLpY"),
        (PublicKeyTests.ecdsa, .ecdsa, "QmVMT29id3TUASyfZZ6k9hmNyc2nYabCo4uMSpDw4zrgDk"),
    ])
    func specificationVectors(hex: String, type: PublicKey.KeyType, id: String) throws {
        let bytes = [UInt8](hex: hex)
        let key = try PublicKey(protobuf: bytes)
        #expect(key.type == type)
        #expect(key.protobuf == bytes)
        #expect(key.peerID.description == id)
    }

    @Test func fieldOrderDoesNotMatter() throws {
        let bytes = [UInt8](hex: Self.ed25519)
        let swapped = Array(bytes.dropFirst(2)) + bytes.prefix(2)
        let key = try PublicKey(protobuf: swapped)
        #expect(key.protobuf == bytes)
    }

    @Test func specificationPrivateKeyGivesItsPublicKey() throws {
        let seed = [UInt8](hex: "7e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d")
        #expect(try KeyPair(seed: seed).publicKey.protobuf.hex == Self.ed25519)
    }

    @Test(arguments: [
        "", "08", "0801", "08011200", "0801121f" + String(repeating: "00", count: 31), "0805120100", "1220",
    ])
    func rejectsMalformed(hex: String) {
        #expect(throws: IdentityError.self) { try PublicKey(protobuf: [UInt8](hex: hex)) }
    }

    @Test func rejectsLong() {
        #expect(throws: IdentityError.malformedPublicKey(reason: "expected at most 2048 bytes, found 2049")) {
            try PublicKey(protobuf: [UInt8](repeating: 0, count: 2049))
        }
    }

    @Test func verifiesEd25519() throws {
        let pair = KeyPair()
        let message = Array("message".utf8)
        let signature = try pair.sign(message)
        #expect(try pair.publicKey.verify(signature: signature, of: message))
        #expect(try !pair.publicKey.verify(signature: signature, of: message + [0]))
        #expect(try !KeyPair().publicKey.verify(signature: signature, of: message))
        #expect(try !pair.publicKey.verify(signature: [], of: message))
        for index in signature.indices {
            var changed = signature
            changed[index] ^= 1
            #expect(try !pair.publicKey.verify(signature: changed, of: message))
        }
    }

    @Test func verifiesECDSA() throws {
        let own = P256.Signing.PrivateKey()
        let spki = Array(own.publicKey.derRepresentation)
        let key = try PublicKey(protobuf: [0x08, 0x03, 0x12, UInt8(spki.count)] + spki)
        let message = Array("message".utf8)
        let signature = Array(try own.signature(for: message).derRepresentation)
        #expect(try key.verify(signature: signature, of: message))
        #expect(try !key.verify(signature: signature, of: message + [1]))
        #expect(try !key.verify(signature: [1, 2, 3], of: message))
        let junk = try PublicKey(protobuf: [0x08, 0x03, 0x12, 3, 1, 2, 3])
        #expect(throws: IdentityError.self) { try junk.verify(signature: signature, of: message) }
    }

    @Test func errorNamesUnsupportedType() throws {
        let key = try PublicKey(protobuf: [UInt8](hex: Self.secp256k1))
        #expect(throws: IdentityError.unsupportedKeyType(.secp256k1)) { try key.verify(signature: [], of: []) }
    }

    @Test(arguments: [
        (KeyFixtures.rsa2048, KeyFixtures.rsa2048Signature), (KeyFixtures.p384, KeyFixtures.p384Signature),
        (KeyFixtures.p521, KeyFixtures.p521Signature),
    ])
    func verifiesSignaturesOfAnotherLibrary(key: String, signature: String) throws {
        let key = try PublicKey(protobuf: [UInt8](hex: key))
        let signature = [UInt8](hex: signature)
        let message = Array("message".utf8)
        #expect(try key.verify(signature: signature, of: message))
        #expect(try !key.verify(signature: signature, of: message + [0]))
        #expect(try !key.verify(signature: [], of: message))
        for index in stride(from: 0, to: signature.count, by: 7) {
            var changed = signature
            changed[index] ^= 4
            #expect(try !key.verify(signature: changed, of: message))
        }
    }

    @Test func rejectsOtherPaddingAndShortRSAKeys() throws {
        let key = try PublicKey(protobuf: [UInt8](hex: KeyFixtures.rsa2048))
        let pss = [UInt8](hex: KeyFixtures.rsa2048PSSSignature)
        #expect(try !key.verify(signature: pss, of: Array("message".utf8)))
        let short = try PublicKey(protobuf: [UInt8](hex: KeyFixtures.rsa1024))
        #expect(throws: IdentityError.self) { try short.verify(signature: pss, of: []) }
    }

    @Test func errorNamesSupportedCurves() throws {
        let key = try PublicKey(protobuf: [UInt8](hex: KeyFixtures.ecdsaOnSecp256k1))
        let error = #expect(throws: IdentityError.self) { try key.verify(signature: [], of: []) }
        #expect("\(error.map(String.init(describing:)) ?? "")".contains("P-256, P-384 or P-521"))
    }
}
