import Multiformats

extension FuzzTarget {
    /// Addresses and ids.
    static let multiformats: [FuzzTarget] = [
        .text(
            "multiaddr-text",
            dictionary: [
                "/ip4/", "/ip6/", "/ip6zone/", "/tcp/", "/udp/", "/dns/", "/dns4/", "/dnsaddr/", "/p2p/", "/unix/",
                "/certhash/", "/sni/", "/ws", "/tls", "/quic-v1", "/p2p-circuit", "//", "::", "::ffff:1.2.3.4", "65536",
            ],
            samples: addresses
        ) { text in
            guard let address = try? Multiaddr(text) else { return false }
            check((try? Multiaddr(address.description)) == address, "a multiaddr parses from its own text")
            check((try? Multiaddr(bytes: address.bytes)) == address, "a multiaddr parses from its own bytes")
            look(at: address)
            return true
        },
        FuzzTarget(
            name: "multiaddr-bytes",
            dictionary: [
                [0xA5, 0x03], [0x29], [0x36], [0x90, 0x03], [0xD2, 0x03], [0xA2, 0x02], [0xCC, 0x03], [0x06],
            ],
            samples: {
                try addresses.enumerated().map {
                    Sample(name: "\($0.offset).bin", bytes: try Multiaddr($0.element).bytes)
                }
            },
            run: { bytes in
                guard let address = try? Multiaddr(bytes: bytes) else { return false }
                check((try? Multiaddr(bytes: address.bytes)) == address, "a multiaddr parses from its own bytes")
                check((try? Multiaddr(address.description)) == address, "a multiaddr parses from its own text")
                look(at: address)
                return true
            }
        ),
        .text("peer-id-text", dictionary: ["12D3KooW", "Qm", "b", "k", "z", "1", "0", "I", "l"], samples: peerIDs) {
            text in
            guard let id = try? PeerID(text) else { return false }
            check((try? PeerID(id.description)) == id, "a peer id parses from its own text")
            let cid = try? CID(bytes: [1, 0x72] + id.bytes)
            check(cid.flatMap { try? PeerID($0.description) } == id, "a peer id parses from its own CID")
            return true
        },
        FuzzTarget(
            name: "peer-id-bytes",
            dictionary: [[0x00, 0x24], [0x12, 0x20]],
            samples: {
                try peerIDs.enumerated().map { Sample(name: "\($0.offset).bin", bytes: try PeerID($0.element).bytes) }
            },
            run: { bytes in
                guard let id = try? PeerID(bytes: bytes) else { return false }
                check((try? PeerID(bytes: id.bytes)) == id, "a peer id parses from its own bytes")
                check((try? PeerID(id.description)) == id, "a peer id parses from its own text")
                return true
            }
        ),
    ]

    private static let addresses = [
        "/ip4/10.0.0.1/tcp/5001",
        "/ip6/fd00::1:2/tcp/5001/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN",
        "/ip6zone/eth0/ip6/fe80::1/tcp/5001",
        "/dns4/node.example/tcp/5001/tls/sni/node.example/ws",
        "/dnsaddr/bootstrap.example",
        "/ip4/10.0.0.1/udp/4001/quic-v1/webtransport/certhash/uEiDDq4_xNyDorZBH3TlGazyJdOWSwvo4PUo5YHFMrvDE8g",
        "/ip4/10.0.0.1/tcp/1/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N/p2p-circuit",
        "/unix/run/spegel.sock",
    ]

    private static let peerIDs = [
        "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN",
        "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",
        "bafzaajaiaejcbkdxpvqoe3gnf2xwbiqxcbwv5xqvwz4cgtccqsy7hfhfxwq2evyl",
    ].filter { (try? PeerID($0)) != nil }

    private static func look(at address: Multiaddr) {
        _ = address.ipAddress
        _ = address.host
        _ = address.tcpPort
        // With two ids in a row, the second one would replace the first.
        if let id = address.peerID, address.withoutPeerID.peerID == nil {
            check(address.withoutPeerID.withPeerID(id) == address, "removing and adding a peer id changes nothing")
        }
    }
}
