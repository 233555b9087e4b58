import OCI
import Testing

@Suite("Digest")
struct DigestTests {
    static let sha256 = "sha256:" + String(repeating: "0123456789abcdef", count: 4)
    static let sha512 = "sha512:" + String(repeating: "0123456789abcdef", count: 8)

    @Test("accepts both registered algorithms")
    func registered() throws {
        let short = try Digest(Self.sha256)
        #expect(short.algorithm == .sha256)
        #expect(short.hex == Self.sha256.dropFirst(7))
        #expect(short.description == Self.sha256)
        let long = try Digest(Self.sha512)
        #expect(long.algorithm == .sha512)
        #expect(long.hex.count == 128)
        #expect(short < long)
        #expect(short != long)
    }

    @Test(
        "names the fault in the error",
        arguments: [
            ("", .missingSeparator),
            ("sha256", .missingSeparator),
            ("a-very-long-algorithm:00", .missingSeparator),
            (":00", .unsupportedAlgorithm),
            ("md5:d41d8cd98f00b204e9800998ecf8427e", .unsupportedAlgorithm),
            ("SHA256:" + String(repeating: "0", count: 64), .unsupportedAlgorithm),
            ("sha256:", .wrongLength(expected: 64, found: 0)),
            ("sha256:" + String(repeating: "0", count: 63), .wrongLength(expected: 64, found: 63)),
            ("sha256:" + String(repeating: "0", count: 65), .wrongLength(expected: 64, found: 65)),
            ("sha512:" + String(repeating: "0", count: 64), .wrongLength(expected: 128, found: 64)),
            ("sha256:" + String(repeating: "A", count: 64), .notLowerCaseHex),
            ("sha256:" + String(repeating: "0", count: 62) + "..", .notLowerCaseHex),
            ("sha256:" + String(repeating: "/", count: 64), .notLowerCaseHex),
            ("sha256:" + String(repeating: "0", count: 62) + "\u{e9}", .notLowerCaseHex),
        ] as [(String, Digest.ParseError)]
    )
    func rejected(text: String, error: Digest.ParseError) {
        #expect(throws: error) { try Digest(text) }
        #expect(!error.description.isEmpty)
    }

    @Test("rejects long text without reading to its end")
    func longText() {
        let text = "sha256:" + String(repeating: "0", count: 1 << 20)
        #expect(throws: Digest.ParseError.wrongLength(expected: 64, found: 256)) { try Digest(text) }
    }

    @Test("accepts only hash bytes of the right length")
    func fromBytes() throws {
        let bytes = [UInt8](0..<32)
        let digest = try #require(Digest(algorithm: .sha256, bytes: bytes))
        #expect(digest.text == "sha256:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
        #expect(try Digest(digest.text) == digest)
        #expect(Digest(algorithm: .sha256, bytes: bytes.dropLast()) == nil)
        #expect(Digest(algorithm: .sha256, bytes: bytes + [0]) == nil)
        #expect(Digest(algorithm: .sha512, bytes: bytes) == nil)
        #expect(Digest(algorithm: .sha512, bytes: bytes + bytes) != nil)
    }

    @Test("parsed digest keeps its text and contains no separator", arguments: 0..<200)
    func roundTrip(seed: UInt64) throws {
        var arbitrary = Arbitrary(seed: seed)
        let text = arbitrary.digestText()
        let digest = try Digest(text)
        #expect(digest.description == text)
        #expect(try Digest(digest.description) == digest)
        #expect(digest.hex.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) })
    }
}
