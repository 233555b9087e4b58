import Multiformats
import TestSupport
import Testing

@Suite struct IPRangeTests {
    @Test(arguments: [
        ("10.0.0.0/8", "10.0.0.0/8"), ("192.0.2.1", "192.0.2.1/32"), ("0.0.0.0/0", "0.0.0.0/0"), ("::/0", "::/0"),
        ("fd00::/8", "fd00::/8"), ("2001:db8::1", "2001:db8::1/128"), ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:10.1.2.3", "10.1.2.3/32"),
    ])
    func reads(text: String, expected: String) throws {
        let range = try #require(IPRange(text))
        #expect(range.description == expected)
        #expect(IPRange(range.description) == range)
    }

    @Test(arguments: [
        "", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8/8", "10.1.0.0/8", "fd00::/129",
        "fd00::1/64", "::ffff:10.0.0.0/95", "10.0.0.0/0008", "10.0.0/8", "example.org", "10.0.0.0 /8", "10.0.0.0/8 ",
    ])
    func rejects(text: String) {
        #expect(IPRange(text) == nil)
    }

    @Test func mappedAddressCountsAsIPv4() throws {
        let range = try #require(IPRange("10.0.0.0/8"))
        for text in ["::ffff:10.9.8.7", "10.9.8.7"] { #expect(range.contains(try IPAddress(text))) }
        for text in ["::ffff:11.0.0.1", "::"] { #expect(!range.contains(try IPAddress(text))) }
        // The range of all of IPv6 contains no IPv4 address.
        let all = try #require(IPRange("::/0"))
        #expect(!all.contains(try IPAddress("10.0.0.1")))
        #expect(all.contains(.v6(.loopback)))
    }

    @Test(arguments: [4, 16]) func containsAddressesWithThePrefix(width: Int) throws {
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        func bits(_ bytes: [UInt8]) -> [Bool] { bytes.flatMap { byte in (0..<8).map { byte & (0x80 >> $0) != 0 } } }
        for _ in 0..<2000 {
            let length = Int.random(in: 0...width * 8, using: &random)
            var first = (0..<width).map { _ in UInt8.random(in: 0x20...0xFF, using: &random) }
            var other = first
            // The second address differs in one bit, or in none.
            let bit = Int.random(in: 0...width * 8, using: &random)
            for index in 0..<width * 8 where index >= length { first[index / 8] &= ~(0x80 >> UInt8(index % 8)) }
            if bit < width * 8 { other[bit / 8] ^= 0x80 >> UInt8(bit % 8) }
            let start = try #require(IPAddress(bytes: first))
            let range = try #require(IPRange(start, prefixLength: length))
            let address = try #require(IPAddress(bytes: other))
            let expected = bits(first).prefix(length).elementsEqual(bits(other).prefix(length))
            #expect(range.contains(address) == expected, "seed \(seed): \(range) \(address)")
        }
    }

    // RFC 4648, section 10
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ])
    func base64IsPadded(text: String, expected: String) {
        #expect(Base64.encode(Array(text.utf8)) == expected)
    }
}
