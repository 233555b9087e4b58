import Multiformats
import TestSupport
import Testing

@Suite struct BaseTests {
    // multiformats/multibase, tests/basic.csv and leading_zero.csv
    @Test(arguments: [
        ("yes mani !", "z7paNL19xttacUY"), ("yes mani !", "bpfsxgidnmfxgsibb"), ("yes mani !", "k2lcpzo5yikidynfl"),
        ("yes mani !", "ueWVzIG1hbmkgIQ"), ("\0yes mani !", "z17paNL19xttacUY"),
        ("\0yes mani !", "bab4wk4zanvqw42jaee"),
        ("\0yes mani !", "k02lcpzo5yikidynfl"),
    ])
    func multibaseVectors(plain: String, encoded: String) throws {
        let bytes = Array(plain.utf8)
        #expect(try Multibase.decode(encoded) == bytes)
        let text =
            switch encoded.first {
            case "z": try Base58.encode(bytes)
            case "b": Base32.encode(bytes)
            case "k": try Base36.encode(bytes)
            default: Base64URL.encode(bytes)
            }
        #expect(text == encoded.dropFirst())
    }

    // draft-msporny-base58
    @Test func base58Vectors() throws {
        #expect(try Base58.encode(Array("Hello World!".utf8)) == "2NEpo7TZRRrLZSi2U")
        #expect(try Base58.encode(bytes(hex: "0000287fb4cd")) == "11233QC4")
        #expect(try Base58.decode("11233QC4") == bytes(hex: "0000287fb4cd"))
        #expect(try Base58.encode([UInt8]()) == "")
    }

    @Test func rejectsForeignCharacters() {
        #expect(throws: MultiformatsError.invalidCharacter(encoding: "base58btc", character: "0")) {
            try Base58.decode("1230")
        }
        #expect(throws: MultiformatsError.self) { try Base36.decode("A") }
        #expect(throws: MultiformatsError.self) { try Base32.decode("mzxw6===") }
        #expect(throws: MultiformatsError.self) { try Base32.decode("MZXW6") }
        #expect(throws: MultiformatsError.self) { try Base58.decode("é") }
        #expect(throws: MultiformatsError.unsupportedMultibase(prefix: "f")) { try Multibase.decode("f00") }
        #expect(throws: MultiformatsError.self) { try Multibase.decode("") }
    }

    @Test func rejectsTrailingBits() {
        #expect(throws: MultiformatsError.invalidPadding(encoding: "base32")) { try Base32.decode("mz1".dropLast()) }
        #expect(throws: MultiformatsError.invalidPadding(encoding: "base32")) { try Base32.decode("a") }
        #expect(throws: MultiformatsError.invalidPadding(encoding: "base64url")) { try Base64URL.decode("eW1hbQB") }
    }

    @Test func boundsQuadraticWork() throws {
        let text = String(repeating: "z", count: 257)
        #expect(throws: MultiformatsError.lengthOutOfBounds(what: "base58btc", length: 257, limit: 256)) {
            try Base58.decode(text)
        }
        #expect(throws: MultiformatsError.lengthOutOfBounds(what: "base36", length: 257, limit: 256)) {
            try Base36.decode(text)
        }
        #expect(throws: MultiformatsError.self) { try Base58.encode([UInt8](repeating: 1, count: 161)) }
        #expect(try Base36.decode(Base36.encode([UInt8](repeating: 255, count: 160))).count == 160)
    }

    @Test func roundTrip() throws {
        try withSeededGenerator { (generator, seed) throws in
            for _ in 0..<300 {
                let zeros = [UInt8](repeating: 0, count: Int.random(in: 0...3, using: &generator))
                let bytes = zeros + generator.bytes(Int.random(in: 0...100, using: &generator))
                #expect(try Base58.decode(Base58.encode(bytes)) == bytes, seed)
                #expect(try Base36.decode(Base36.encode(bytes)) == bytes, seed)
                #expect(try Base32.decode(Base32.encode(bytes)) == bytes, seed)
                #expect(try Base64URL.decode(Base64URL.encode(bytes)) == bytes, seed)
            }
        }
    }
}
