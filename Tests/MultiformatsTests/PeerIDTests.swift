import Multiformats
import TestSupport
import Testing

@Suite struct PeerIDTests {
    /// The keys of libp2p/specs, peer-ids, test vectors.
    static let ed25519Key = "080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e"

    @Test(arguments: [
        // libp2p/specs, peer-ids: the same id in base58btc and as CIDv1
        (
            "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",
            "bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe"
        )
    ])
    func parsesBothTextForms(base58: String, cid: String) throws {
        let id = try PeerID(base58)
        #expect(try PeerID(cid) == id)
        #expect(id.description == base58)
        #expect(try id.cid.description == cid)
        #expect(try PeerID("k" + Base36.encode(id.cid.bytes)) == id)
        #expect(try PeerID("z" + Base58.encode(id.cid.bytes)) == id)
        #expect(try PeerID(bytes: id.bytes) == id)
    }

    @Test func idContainsShortKey() throws {
        let key = bytes(hex: Self.ed25519Key)
        let id = PeerID(publicKeyProtobuf: key)
        #expect(id.bytes == [0x00, 0x24] + key)
        #expect(id.description.hasPrefix("12D3KooW"))
        #expect(try PeerID(id.description) == id)
        #expect(try PeerID(id.cid.description) == id)
    }

    @Test func keyOf42BytesIsInlineAnd43IsHashed() {
        #expect(PeerID(publicKeyProtobuf: [UInt8](repeating: 7, count: 42)).bytes.count == 44)
        let hashed = PeerID(publicKeyProtobuf: [UInt8](repeating: 7, count: 43))
        #expect(hashed.bytes.prefix(2) == [0x12, 0x20])
        #expect(hashed.description.hasPrefix("Qm"))
    }

    @Test func rejectsOtherHashes() {
        let tooLong = [0x00, 43] + [UInt8](repeating: 0, count: 43)
        #expect(throws: MultiformatsError.unsuitablePeerIDHash(code: 0, length: 43)) { try PeerID(bytes: tooLong) }
        #expect(throws: MultiformatsError.unsuitablePeerIDHash(code: 0, length: 0)) { try PeerID(bytes: [0, 0]) }
        let sha1 = [0x11, 20] + [UInt8](repeating: 0, count: 20)
        #expect(throws: MultiformatsError.unsuitablePeerIDHash(code: 0x11, length: 20)) { try PeerID(bytes: sha1) }
    }

    @Test(arguments: [
        "", "1", "Qm", "12D3KooW0", "hello", "/p2p/x", "bafkreibme22gw2h7y2h7tg2fhqotaqjucnbc24deqo72b6mkl2egezxhvy",
    ])
    func rejectsOtherText(text: String) {
        #expect(throws: MultiformatsError.self) { try PeerID(text) }
    }

    @Test func errorNamesWrongCodec() {
        #expect(throws: MultiformatsError.unexpectedCodec(expected: 0x72, actual: 0x55)) {
            try PeerID("bafkreibme22gw2h7y2h7tg2fhqotaqjucnbc24deqo72b6mkl2egezxhvy")
        }
    }

    @Test func ordersByBytes() throws {
        let ids = [PeerID(publicKeyProtobuf: [2]), PeerID(publicKeyProtobuf: [1, 5]), PeerID(publicKeyProtobuf: [1])]
        #expect(ids.sorted() == [ids[2], ids[0], ids[1]])
    }

    @Test func randomBytesParseToThemselvesOrThrow() throws {
        try withSeededGenerator { (generator, seed) throws in
            for _ in 0..<5000 {
                var input = generator.bytes(Int.random(in: 0...46, using: &generator))
                if input.count >= 2, Bool.random(using: &generator) {
                    input[0] = 0
                    input[1] = UInt8(input.count - 2)
                }
                guard let id = try? PeerID(bytes: input) else { continue }
                #expect(id.bytes == input, seed)
                #expect((try? PeerID(id.description)) == id, seed)
            }
        }
    }
}
