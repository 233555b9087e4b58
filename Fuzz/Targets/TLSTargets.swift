import LibP2P
import Multiformats

extension FuzzTarget {
    /// TLS: the certificate of a peer, and the extension in it that proves the peer's identity. A certificate's own key
    /// and signature are random, so `--write-corpus` generates a new one each time.
    static let tls: [FuzzTarget] = [
        FuzzTarget(
            name: "certificate",
            divisor: 4,
            dictionary: der,
            samples: {
                [
                    Sample(
                        name: "ed25519.der",
                        bytes: try TLSCertificate(identity: KeyPair(seed: [UInt8](repeating: 1, count: 32))).der
                    )
                ]
            },
            run: { bytes in
                // In the validity of all generated certificates.
                guard let key = try? TLSCertificate.identity(provenBy: bytes, now: 1_800_000_000) else { return false }
                _ = key.peerID
                return true
            }
        ),
        FuzzTarget(
            name: "certificate-extension",
            dictionary: der,
            samples: {
                let key = try KeyPair(seed: [UInt8](repeating: 1, count: 32))
                let signed = TLSSignedKey(
                    publicKey: key.publicKey.protobuf,
                    signature: [UInt8](repeating: 7, count: 64)
                )
                return [Sample(name: "ed25519.der", bytes: try signed.serialized())]
            },
            run: { bytes in
                guard let signed = try? TLSSignedKey(der: bytes[...]) else { return false }
                guard let written = try? signed.serialized() else { fatalError("a decoded value cannot be encoded") }
                check((try? TLSSignedKey(der: written[...])) == signed, "an extension decodes from its own bytes")
                return true
            }
        ),
    ]

    /// Tags and lengths of DER.
    private static let der: [[UInt8]] = [
        [0x30, 0x80], [0x30, 0x82], [0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF], [0x04, 0x00], [0x06, 0x03, 0x55, 0x1D],
        [0x17, 0x0D], [0x18, 0x0F], [0x02, 0x01, 0x02], [0x03, 0x42, 0x00], [0xA3], [0x01, 0x01, 0xFF],
        [0x1F, 0xFF, 0x7F],
    ]
}
