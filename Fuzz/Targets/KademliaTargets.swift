import Kademlia
import Multiformats

extension FuzzTarget {
    /// Messages of the DHT, and a node that handles them.
    static let kademlia: [FuzzTarget] = [
        FuzzTarget(
            name: "kad-message",
            dictionary: [
                [0x08], [0x12, 0x22, 0x12, 0x20], [0x42], [0x4A], [0x50, 0x01], [0x0A, 0x26], [0x12, 0x08],
            ],
            samples: {
                let peers = try ["/ip4/10.0.0.1/tcp/5001", "/ip6/fd00::1/tcp/5001"].enumerated().map {
                    number,
                    address in
                    let id = PeerID(
                        publicKeyProtobuf: [0x08, 0x01, 0x12, 0x20] + [UInt8](repeating: UInt8(number), count: 32)
                    )
                    return Message.Peer(PeerInfo(id: id, addresses: [try Multiaddr(address)]), connection: .connected)
                }
                let key = Key("sha256:" + String(repeating: "0", count: 64)).bytes
                return [
                    Sample(name: "ping.bin", bytes: Message(kind: .ping).encoded()),
                    Sample(
                        name: "find-node.bin",
                        bytes: Message(kind: .findNode, key: peers[0].info.id.bytes).encoded()
                    ),
                    Sample(name: "get-providers.bin", bytes: Message(kind: .getProviders, key: key).encoded()),
                    Sample(
                        name: "add-provider.bin",
                        bytes: Message(kind: .addProvider, key: key, providerPeers: [peers[1]]).encoded()
                    ),
                    Sample(
                        name: "answer.bin",
                        bytes: Message(kind: .getProviders, key: key, closerPeers: peers, providerPeers: peers)
                            .encoded()
                    ),
                ]
            },
            run: { bytes in
                guard let message = try? Message(decoding: bytes) else { return false }
                check((try? Message(decoding: message.encoded())) == message, "a message decodes from its own bytes")
                check(message.closerPeers.count <= Message.Limits.peers, "peers are bounded")
                _ = Key(bytes: message.key)
                return true
            }
        ),
        FuzzTarget(
            name: "record-update",
            dictionary: [[0x08, 0x01], [0x08, 0x02], [0x08, 0x03], [0x12], [0x1A, 0x20], [0x20]],
            samples: {
                let keys = (0..<3).map { Key("sha256:\($0)") }
                return [
                    ("announce.bin", RecordUpdate.Kind.announce, keys), ("withdraw.bin", .withdraw, [keys[0]]),
                    ("leave.bin", .leave, []),
                ].map { name, kind, keys in
                    let update = RecordUpdate(kind: kind, keys: keys, provider: peer(1), timeToLive: .seconds(600))
                    return Sample(name: name, bytes: update.encoded())
                }
            },
            run: { bytes in
                guard let update = try? RecordUpdate(decoding: bytes) else { return false }
                check(
                    (try? RecordUpdate(decoding: update.encoded()))?.keys == update.keys,
                    "an update decodes from its own bytes"
                )
                check(update.keys.count <= RecordUpdate.maximumKeys, "keys are bounded")
                check(update.messages.count <= update.keys.count, "each ADD_PROVIDER has a key")
                return true
            }
        ),
        machine,
    ]
}
