import Multiformats
import TestSupport
import Testing

@Suite struct MultiaddrTests {
    static let id = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"

    // Binary forms after multiformats/multiaddr and the multicodec table.
    @Test(arguments: [
        ("/ip4/1.2.3.4", "0401020304"), ("/ip4/127.0.0.1/udp/1234", "047f000001910204d2"),
        ("/ip4/127.0.0.1/tcp/4321", "047f0000010610e1"),
        ("/ip6/2001:8a0:7ac5:4201:3ac9:86ff:fe31:7095/tcp/5001", "29200108a07ac542013ac986fffe317095061389"),
        ("/ip6zone/eth0/ip6/fe80::1", "2a0465746830" + "29fe800000000000000000000000000001"),
        ("/dns4/example.com/tcp/80", "360b6578616d706c652e636f6d060050"), ("/dnsaddr/a.b", "3803612e62"),
        ("/unix/a/b/c", "9003062f612f622f63"), ("/ip4/127.0.0.1/udp/1234/quic-v1", "047f000001910204d2cd03"),
        ("/ip4/127.0.0.1/tcp/80/ws", "047f000001060050dd03"),
        ("/ip4/127.0.0.1/tcp/80/tls/sni/a.b/wss", "047f000001060050c003c10303612e62de03"),
        ("/ip4/1.2.3.4/p2p-circuit", "0401020304a202"),
        ("/ip4/1.2.3.4/udp/9/webrtc-direct", "040102030491020009" + "9802"),
        ("/ip4/1.2.3.4/tcp/9/http", "0401020304060009e003"), ("/ip4/1.2.3.4/tcp/9/noise", "0401020304060009c603"),
        ("/ip4/1.2.3.4/udp/9/quic", "040102030491020009cc03"),
    ])
    func vectors(text: String, binary: String) throws {
        let address = try Multiaddr(text)
        #expect(hex(address.bytes) == binary)
        #expect(address.description == text)
        #expect(try Multiaddr(bytes: bytes(hex: binary)) == address)
    }

    @Test func peerIDForms() throws {
        let address = try Multiaddr("/ip4/10.0.0.1/tcp/5001/p2p/\(Self.id)")
        let id = try PeerID(Self.id)
        #expect(address.peerID == id)
        #expect(address.ipAddress == .v4(IPv4Address(10, 0, 0, 1)))
        #expect(address.host == "10.0.0.1")
        #expect(address.tcpPort == 5001)
        #expect(address.components == [.ip4(IPv4Address(10, 0, 0, 1)), .tcp(5001), .p2p(id)])
        let bare = Multiaddr(ip: .v4(IPv4Address(10, 0, 0, 1)), tcpPort: 5001)
        #expect(address.withoutPeerID == bare)
        #expect(bare.withoutPeerID == bare)
        #expect(bare.withPeerID(id) == address)
        #expect(address.withPeerID(id) == address)
        #expect(try Multiaddr("/ip4/10.0.0.1/tcp/5001/ipfs/\(Self.id)") == address)
        #expect(try Multiaddr("/ip4/10.0.0.1/tcp/5001/p2p/\(id.cid)/") == address)
    }

    @Test func conveniences() throws {
        let zoned = try Multiaddr("/ip6zone/eth0/ip6/fe80::1/tcp/1")
        #expect(zoned.ipAddress?.text == "fe80::1")
        #expect(zoned.tcpPort == 1)
        let named = try Multiaddr("/dns4/node.example/tcp/5001")
        #expect(named.ipAddress == nil)
        #expect(named.host == "node.example")
        #expect(named.tcpPort == 5001)
        let quic = try Multiaddr("/ip4/1.2.3.4/udp/1/quic-v1")
        #expect(quic.tcpPort == nil)
        #expect(try Multiaddr("/unix/run/x.sock").host == nil)
        #expect(try Multiaddr("/p2p/\(Self.id)").withoutPeerID.components.isEmpty)
        let relayed = try Multiaddr("/ip4/1.2.3.4/tcp/1/p2p/\(Self.id)/p2p-circuit")
        #expect(relayed.peerID == nil)
        let socket = try Multiaddr("/unix/run/x.sock")
        #expect(try socket.withPeerID(PeerID(Self.id)) == socket)
        #expect(Multiaddr(ip: try IPAddress("::1"), tcpPort: 9).description == "/ip6/::1/tcp/9")
    }

    @Test func certificateHash() throws {
        let hash = Multihash.sha2_256(of: [1, 2, 3])
        let text = "/ip4/1.2.3.4/udp/1/quic-v1/webtransport/certhash/u" + Base64URL.encode(hash.bytes)
        let address = try Multiaddr(text)
        #expect(address.components.last == .certhash(hash))
        #expect(address.description == text)
        #expect(try Multiaddr(bytes: address.bytes) == address)
    }

    @Test(arguments: [
        "", "/", "//", "ip4/1.2.3.4", "/ip4", "/ip4/", "/ip4//tcp/1", "/ip4/1.2.3", "/ip4/::1", "/ip6/1.2.3.4",
        "/tcp/65536", "/tcp/-1",
        "/tcp/+1", "/tcp/x", "/tcp", "/ip4/1.2.3.4/tcp/1//", "/p2p/x", "/p2p/", "/unix", "/unix/", "/dns/",
        "/ip4/1.2.3.4//tcp/1",
        "/certhash/u", "/certhash/x", "/dns/a\nb", "/nonsense/1",
    ])
    func rejectsMalformedText(text: String) {
        #expect(throws: MultiformatsError.self) { try Multiaddr(text) }
    }

    @Test func errorsAreOneShortLine() {
        let error = #expect(throws: MultiformatsError.self) {
            try Multiaddr("/a\nb\u{1B}[31m" + String(repeating: "x", count: 1000))
        }
        let text = error.map { "\($0)" } ?? "\n"
        #expect(text.utf8.count < 150)
        #expect(text.utf8.allSatisfy { $0 >= 0x20 })
    }

    @Test func errorNamesUnknownProtocol() {
        #expect(throws: MultiformatsError.unknownProtocolName("carrier-pigeon")) { try Multiaddr("/carrier-pigeon/1") }
        #expect(throws: MultiformatsError.unknownProtocolCode(0x309)) { try Multiaddr(bytes: [0x89, 0x06, 0x01]) }
        #expect(throws: MultiformatsError.missingValue(protocolName: "tcp")) { try Multiaddr("/ip4/1.2.3.4/tcp") }
    }

    @Test(arguments: [
        "", "04010203", "06", "060f", "3500", "3502612f", "3501ff", "35ffffffffffffffff7f", "3505ab",
        "9003022f61" + "060001",
        "90030161", "a5030100", "8104", "840001020304",
    ])
    func rejectsMalformedBytes(binary: String) {
        #expect(throws: MultiformatsError.self) { try Multiaddr(bytes: bytes(hex: binary)) }
    }

    @Test func boundsLength() throws {
        let limit = Multiaddr.maximumLength
        #expect(throws: MultiformatsError.lengthOutOfBounds(what: "multiaddr", length: 1025, limit: limit)) {
            try Multiaddr(bytes: [UInt8](repeating: 0x04, count: 1025))
        }
        #expect(throws: MultiformatsError.self) { try Multiaddr("/dns/" + String(repeating: "a", count: 1022)) }
        #expect(throws: MultiformatsError.self) { try Multiaddr(String(repeating: "/ws", count: 4000)) }
        let longest = try Multiaddr(bytes: [UInt8]((0..<512).flatMap { _ in [0x98, 0x02] }))
        #expect(try Multiaddr(longest.description) == longest)
    }

    @Test func randomBytesParseToThemselvesOrThrow() throws {
        let codes: [[UInt8]] = [
            [0x04], [0x06], [0x29], [0x35], [0x36], [0x91, 0x02], [0xA5, 0x03], [0xDD, 0x03], [0x90, 0x03],
            [0xA2, 0x02], [0x2A],
        ]
        try withSeededGenerator { (generator, seed) throws in
            var parsed = 0
            for _ in 0..<20000 {
                var input: [UInt8] = []
                for _ in 0..<Int.random(in: 1...3, using: &generator) {
                    input += codes.randomElement(using: &generator) ?? []
                    input += generator.bytes(Int.random(in: 0...6, using: &generator)).map { $0 & 0x7F }
                }
                guard let address = try? Multiaddr(bytes: input) else { continue }
                parsed += 1
                #expect(address.bytes == input, seed)
                #expect(try Multiaddr(address.description) == address, seed)
            }
            #expect(parsed > 20, seed)
        }
    }

    @Test func mangledTextThrowsOrRoundTrips() throws {
        let sound = Array("/ip6/fe80::1/tcp/5001/p2p/\(Self.id)/dns4/example.com/unix/a/b".utf8)
        try withSeededGenerator { (generator, seed) throws in
            for _ in 0..<3000 {
                var text = sound
                for _ in 0..<Int.random(in: 1...3, using: &generator) {
                    text[Int.random(in: text.indices, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
                }
                guard let address = try? Multiaddr(String(decoding: text, as: UTF8.self)) else { continue }
                #expect(try Multiaddr(address.description) == address, seed)
                #expect(try Multiaddr(bytes: address.bytes) == address, seed)
            }
        }
    }
}
