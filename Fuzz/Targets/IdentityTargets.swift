import LibP2P
import Multiformats
import NIOCore

extension FuzzTarget {
    /// Keys, and identify messages.
    static let identity: [FuzzTarget] = [
        FuzzTarget(
            name: "public-key",
            dictionary: [
                [0x08, 0x01, 0x12, 0x20], [0x08, 0x00, 0x12], [0x08, 0x02, 0x12, 0x21], [0x08, 0x03, 0x12],
            ],
            samples: {
                [
                    Sample(
                        name: "ed25519.bin",
                        bytes: try KeyPair(seed: [UInt8](repeating: 1, count: 32)).publicKey.protobuf
                    ),
                    Sample(
                        name: "secp256k1.bin",
                        bytes: [0x08, 0x02, 0x12, 33, 0x02] + [UInt8](repeating: 9, count: 32)
                    ),
                    Sample(name: "rsa.bin", bytes: [0x08, 0x00, 0x12, 4, 0x30, 2, 5, 0]),
                    Sample(name: "ecdsa.bin", bytes: [0x08, 0x03, 0x12, 91] + p256Prefix + p256Point),
                ]
            },
            run: { bytes in
                guard let key = try? PublicKey(protobuf: bytes) else { return false }
                check((try? PublicKey(protobuf: key.protobuf)) == key, "a public key decodes from its own bytes")
                _ = key.peerID
                // A signature of a plausible length, and a shorter one.
                _ = try? key.verify(signature: [UInt8](repeating: 7, count: 64), of: bytes)
                _ = try? key.verify(signature: bytes, of: [])
                return true
            }
        ),
        .text(
            "identity-pem",
            dictionary: ["-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "\n", "\r\n", "=", "-----BEGIN "],
            samples: [(try? KeyPair(seed: [UInt8](repeating: 1, count: 32)).pem) ?? ""]
        ) { text in
            guard let pair = try? KeyPair(pem: text) else { return false }
            check((try? KeyPair(pem: pair.pem).peerID) == pair.peerID, "a key parses from its own PEM")
            return true
        },
        FuzzTarget(
            name: "identify",
            dictionary: [[0x0A], [0x12], [0x1A], [0x22], [0x2A], [0x32], [0x42]],
            samples: {
                var info = IdentifyInfo()
                info.publicKey = try KeyPair(seed: [UInt8](repeating: 1, count: 32)).publicKey.protobuf
                info.listenAddresses = try ["/ip4/10.0.0.1/tcp/5001", "/ip6/fd00::1/tcp/5001"].map { try Multiaddr($0) }
                info.protocols = ["/ipfs/id/1.0.0", "/spegel/kad/1.0.0"]
                info.observedAddress = try Multiaddr("/ip4/10.0.0.9/tcp/40000")
                info.protocolVersion = "ipfs/0.1.0"
                info.agentVersion = "spegel"
                var push = IdentifyInfo()
                push.protocols = ["/spegel/kad/1.0.0"]
                return try [("full.bin", info), ("push.bin", push)].map { name, info in
                    Sample(name: name, bytes: Array(try info.encoded().readableBytesView))
                }
            },
            run: { bytes in
                guard let info = try? IdentifyInfo(message: ByteBuffer(bytes: bytes)) else { return false }
                var merged = IdentifyInfo()
                merged.merge(push: info)
                guard let encoded = try? info.encoded() else { fatalError("a decoded value cannot be encoded") }
                if bytes.count < IdentifyInfo.maxMessageLength / 2 {
                    check(
                        (try? IdentifyInfo(message: encoded)) == info,
                        "an identify message decodes from its own bytes"
                    )
                }
                check(
                    encoded.readableBytes <= IdentifyInfo.maxMessageLength
                        || bytes.count > IdentifyInfo.maxMessageLength,
                    "an identify message stays within its limit"
                )
                return true
            }
        ),
    ]

    /// The bytes of a P-256 SubjectPublicKeyInfo before its point (RFC 5480).
    private static let p256Prefix: [UInt8] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48,
        0xCE,
        0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ]

    /// The base point of P-256, uncompressed (SEC 2, section 2.4.2).
    private static let p256Point: [UInt8] = [
        0x04, 0x6B, 0x17, 0xD1, 0xF2, 0xE1, 0x2C, 0x42, 0x47, 0xF8, 0xBC, 0xE6, 0xE5, 0x63, 0xA4, 0x40, 0xF2, 0x77,
        0x03,
        0x7D, 0x81, 0x2D, 0xEB, 0x33, 0xA0, 0xF4, 0xA1, 0x39, 0x45, 0xD8, 0x98, 0xC2, 0x96, 0x4F, 0xE3, 0x42, 0xE2,
        0xFE,
        0x1A, 0x7F, 0x9B, 0x8E, 0xE7, 0xEB, 0x4A, 0x7C, 0x0F, 0x9E, 0x16, 0x2B, 0xCE, 0x33, 0x57, 0x6B, 0x31, 0x5E,
        0xCE,
        0xCB, 0xB6, 0x40, 0x68, 0x37, 0xBF, 0x51, 0xF5,
    ]
}
