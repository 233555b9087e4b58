import Multiformats
import TestSupport
import Testing

@Suite struct IPAddressTests {
    // RFC 5952, sections 1 and 4
    @Test(arguments: [
        ("2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("2001:DB8::1", "2001:db8::1"), ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("0:0:0:0:0:0:0:0", "::"), ("0:0:0:0:0:0:0:1", "::1"), ("fe80:0:0:0:0:0:0:0", "fe80::"),
        ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
        ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"), ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
        ("::ffff:c000:201", "::ffff:192.0.2.1"),
        ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"), ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"),
        ("10.0.0.255", "10.0.0.255"), ("0.0.0.0", "0.0.0.0"),
    ])
    func canonicalText(input: String, expected: String) throws {
        let address = try IPAddress(input)
        #expect(address.text == expected)
        #expect(try IPAddress(address.text) == address)
        #expect(IPAddress(bytes: address.bytes) == address)
    }

    @Test(arguments: [
        "", ":", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8",
        "12345::", "g::",
        "fe80::1%eth0", "::1.2.3", "1.2.3.4::", "::1.2.3.4:5", "+1::", "-1::", "1:", ":1", "1:2:3:4:5:6:7:", "1.2.3",
        "1.2.3.4.5",
        "256.0.0.1", "01.2.3.4", "1.2.3.+4", "1..2.3", " 1.2.3.4", "localhost", "::ffff:1.2.3.256", "１.2.3.4", "[::1]",
    ])
    func rejects(text: String) {
        #expect(throws: MultiformatsError.self) { try IPAddress(text) }
    }

    @Test func classes() throws {
        func ips(_ texts: String...) throws -> [IPAddress] { try texts.map { try IPAddress($0) } }
        #expect(try ips("127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1").allSatisfy(\.isLoopback))
        #expect(try !ips("128.0.0.1", "126.1.1.1", "::2", "::").contains(where: \.isLoopback))
        #expect(try ips("0.0.0.0", "::", "::ffff:0.0.0.0").allSatisfy(\.isUnspecified))
        #expect(try ips("169.254.3.4", "fe80::1", "febf::1").allSatisfy(\.isLinkLocal))
        #expect(try !ips("169.253.0.1", "fec0::1", "fe7f::1").contains(where: \.isLinkLocal))
        #expect(
            try ips("10.1.2.3", "172.16.0.1", "172.31.9.9", "192.168.0.1", "fc00::1", "fdff::1").allSatisfy(\.isPrivate)
        )
        #expect(try !ips("11.0.0.0", "172.32.0.1", "192.169.0.1", "fe00::1", "8.8.8.8").contains(where: \.isPrivate))
        #expect(
            try ips("::1", "10.0.0.2", "10.0.0.10", "::").sorted().map(\.text) == [
                "10.0.0.2", "10.0.0.10", "::", "::1",
            ]
        )
    }

    @Test func roundTrips() throws {
        try withSeededGenerator { (generator, seed) throws in
            for _ in 0..<2000 {
                // Mostly zero groups, so that runs of zeros occur.
                let raw = (0..<8).flatMap { _ in Bool.random(using: &generator) ? [0, 0] : generator.bytes(2) }
                let address = try #require(IPAddress(bytes: raw), seed)
                #expect(address.bytes == raw, seed)
                #expect(try IPAddress(address.text) == address, seed)
            }
        }
    }
}
