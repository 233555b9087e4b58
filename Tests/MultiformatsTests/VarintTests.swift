import Multiformats
import TestSupport
import Testing

@Suite struct VarintTests {
    @Test(
        arguments: [
            (0, "00"), (1, "01"), (127, "7f"), (128, "8001"), (255, "ff01"), (300, "ac02"), (16384, "808001"),
            ((1 << 63) - 1, "ffffffffffffffff7f"),
        ] as [(UInt64, String)]
    )
    func specificationVectors(value: UInt64, text: String) throws {
        #expect(hex(Varint.encode(value)) == text)
        let (decoded, length) = try Varint.decode(bytes(hex: text) + [0xFF])
        #expect(decoded == value)
        #expect(length == text.count / 2)
    }

    @Test func rejectsVarintsThatAreNotMinimalOrTooLong() {
        #expect(throws: MultiformatsError.varintNotMinimal) { try Varint.decode([0x81, 0x00]) }
        #expect(throws: MultiformatsError.varintNotMinimal) { try Varint.decode([0x80, 0x80, 0x00]) }
        #expect(throws: MultiformatsError.varintTooLong) { try Varint.decode([UInt8](repeating: 0x80, count: 10)) }
        #expect(throws: MultiformatsError.varintTooLong) { try Varint.decode(Varint.encode(1 << 63)) }
    }

    @Test func distinguishesTruncatedFromInvalid() {
        for count in 0..<9 {
            #expect(throws: MultiformatsError.truncated(what: "varint")) {
                try Varint.decode([UInt8](repeating: 0xFF, count: count))
            }
        }
    }

    @Test func roundTrips() throws {
        try withSeededGenerator { (generator, seed) throws in
            for _ in 0..<2000 {
                let value = UInt64.random(in: 0..<(1 << 63), using: &generator) >> UInt64.random(in: 0..<63)
                let encoded = Varint.encode(value)
                let (decoded, length) = try Varint.decode(encoded)
                #expect(decoded == value && length == encoded.count, seed)
            }
        }
    }
}
