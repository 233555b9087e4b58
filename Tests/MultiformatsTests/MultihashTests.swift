import Multiformats
import TestSupport
import Testing

@Suite struct MultihashTests {
    @Test func sha256OfMultihash() throws {
        // multiformats/multihash, tests/values: sha2-256 of "multihash"
        let text = "12209cbc07c3f991725836a3aa2a581ca2029198aa420b9d99bc0e131d9f3e2cbe47"
        let hash = Multihash.sha2_256(of: Array("multihash".utf8))
        #expect(hex(hash.bytes) == text)
        #expect(try Multihash(bytes: bytes(hex: text)) == hash)
    }

    @Test func rejectsWrongLengths() {
        #expect(throws: MultiformatsError.self) {
            try Multihash(bytes: [0x12, 0x1F] + [UInt8](repeating: 0, count: 31))
        }
        #expect(throws: MultiformatsError.truncated(what: "multihash digest")) {
            try Multihash(bytes: [0x00, 0x05, 1])
        }
        #expect(throws: MultiformatsError.trailingBytes(what: "multihash", count: 2)) {
            try Multihash(bytes: [0x00, 0x01, 1, 2, 3])
        }
        #expect(throws: MultiformatsError.lengthOutOfBounds(what: "multihash digest", length: 129, limit: 128)) {
            try Multihash(code: .identity, digest: [UInt8](repeating: 0, count: 129))
        }
        #expect(throws: MultiformatsError.lengthOutOfBounds(what: "multihash digest", length: 300, limit: 128)) {
            try Multihash(bytes: [0x00, 0xAC, 0x02])
        }
        #expect(throws: MultiformatsError.self) { try Multihash(bytes: [UInt8](repeating: 0, count: 5000)) }
        #expect(throws: MultiformatsError.truncated(what: "varint")) { try Multihash(bytes: []) }
    }

    @Test func randomBytesParseToThemselvesOrThrow() throws {
        try withSeededGenerator { (generator, seed) throws in
            for _ in 0..<5000 {
                let input = generator.bytes(Int.random(in: 0...40, using: &generator))
                if let hash = try? Multihash(bytes: input) {
                    #expect(hash.bytes == input, seed)
                }
            }
        }
    }
}

@Suite struct CIDTests {
    @Test func version0() throws {
        let text = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"
        let cid = try CID(text)
        #expect(cid.version == .v0)
        #expect(cid.codec == .dagPB)
        #expect(cid.description == text)
        #expect(try CID(bytes: cid.bytes) == cid)
    }

    @Test func version1() throws {
        let cid = try CID(bytes: [1, 0x55] + Multihash.sha2_256(of: Array("foo".utf8)).bytes)
        // ipfs: raw block "foo"
        #expect(cid.description == "bafkreibme22gw2h7y2h7tg2fhqotaqjucnbc24deqo72b6mkl2egezxhvy")
        #expect(try CID(cid.description) == cid)
        #expect(try CID(bytes: cid.bytes) == cid)
        #expect(try CID("k" + Base36.encode(cid.bytes)) == cid)
    }

    @Test func rejectsOtherVersionsAndLongText() {
        #expect(throws: MultiformatsError.unsupportedCIDVersion(2)) { try CID(bytes: [2, 0x55, 0, 0]) }
        #expect(throws: MultiformatsError.self) { try CID(String(repeating: "b", count: 513)) }
        #expect(throws: MultiformatsError.unsupportedMultibase(prefix: "Q")) { try CID("Qm") }
        #expect(throws: MultiformatsError.self) { try CID("") }
    }
}
