import Testing

@testable import LibP2P

@Suite struct KeyPairTests {
    // RFC 8410, section 10.3, and the public key of section 10.1
    static let rfcPEM = """
        -----BEGIN PRIVATE KEY-----
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
        -----END PRIVATE KEY-----

        """

    @Test func rfc8410() throws {
        let pair = try KeyPair(pem: Self.rfcPEM)
        #expect(pair.pem == Self.rfcPEM)
        #expect(pair.publicKey.data.hex == "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1")
    }

    @Test func roundTrips() throws {
        let pair = KeyPair()
        let copy = try KeyPair(pem: pair.pem)
        #expect(copy.peerID == pair.peerID)
        #expect(try pair.publicKey.verify(signature: copy.sign([1]), of: [1]))
        #expect(KeyPair().peerID != pair.peerID)
    }

    @Test func toleratesLineEndsAndWhiteSpace() throws {
        let windows = "\n  " + Self.rfcPEM.split(separator: "\n").joined(separator: "\r\n") + "\r\n\r\n"
        #expect(try KeyPair(pem: windows).pem == Self.rfcPEM)
    }

    @Test func errorNamesWrongAlgorithm() {
        // The beginning of a P-256 key suffices: id-ecPublicKey.
        let pem = """
            -----BEGIN PRIVATE KEY-----
            MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2
            OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r
            1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G
            -----END PRIVATE KEY-----
            """
        #expect(throws: IdentityError.unexpectedAlgorithm("1.2.840.10045.2.1")) { try KeyPair(pem: pem) }
    }

    @Test(arguments: [
        "", "   \n", "hello", "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----",
        "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\n????\n-----END PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END KEY-----",
    ])
    func rejectsOtherText(text: String) {
        #expect {
            try KeyPair(pem: text)
        } throws: { error in
            if case IdentityError.malformedPrivateKey = error { true } else { false }
        }
    }

    @Test func errorsDoNotQuotePossibleSecret() {
        let error = #expect(throws: IdentityError.self) {
            try KeyPair(pem: "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp")
        }
        #expect(error.map { "\($0)".contains("MC4C") } == false)
    }

    @Test func rejectsLongText() {
        #expect(throws: IdentityError.self) { try KeyPair(pem: String(repeating: "-", count: 20000)) }
    }

    @Test func derIsStrict() throws {
        let sound = PrivateKeyDER.encode(key: [UInt8](0..<32))
        #expect(try PrivateKeyDER.decode(sound) == [UInt8](0..<32))
        #expect(throws: IdentityError.self) { try PrivateKeyDER.decode(sound + [0]) }
        for count in 0..<sound.count {
            #expect(throws: IdentityError.self) { try PrivateKeyDER.decode(Array(sound.prefix(count))) }
        }
        // The first 16 bytes are structure: any change there is an error.
        for index in 0..<16 {
            for bit in 0..<8 {
                var changed = sound
                changed[index] ^= 1 << bit
                #expect(throws: IdentityError.self, "byte \(index)") { try PrivateKeyDER.decode(changed) }
            }
        }
    }

    @Test func neverTrapsOnRandomDER() {
        var generator = NoiseTestGenerator()
        let sound = PrivateKeyDER.encode(key: [UInt8](0..<32))
        for _ in 0..<5000 {
            var bytes = sound
            for _ in 0..<3 {
                bytes[Int.random(in: 0..<16, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            bytes.removeLast(Int.random(in: 0...8, using: &generator))
            if let key = try? PrivateKeyDER.decode(bytes) {
                #expect(PrivateKeyDER.encode(key: key) == bytes, generator.comment)
            }
        }
    }

    @Test func descriptionHidesPrivateKey() throws {
        let pair = try KeyPair(pem: Self.rfcPEM)
        #expect("\(pair)" == "KeyPair(\(pair.peerID))")
        var dumped = ""
        dump(pair, to: &dumped)
        #expect(!dumped.contains("PrivateKey"))
    }
}
