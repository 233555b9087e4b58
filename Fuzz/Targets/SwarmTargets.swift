import Multiformats
import Swarm
import Time

extension FuzzTarget {
    /// Messages of the swarm protocol, and a coordinator that handles them.
    static let swarm: [FuzzTarget] = [
        FuzzTarget(
            name: "swarm-message",
            dictionary: [
                [0x08, 0x01], [0x08, 0x02], [0x08, 0x04], [0x12, 0x20], [0x18], [0x20, 0x01], [0x28], [0x42, 0x26],
                [0x4A], [0x50], [0x58, 0x01], [0x62], [0x6A], [0x72], [0x78, 0x01],
            ],
            samples: {
                let source = SwarmMessage.Source(id: peer(1).id, addresses: peer(1).addresses.map(\.bytes))
                let progress = SwarmMessage.Progress(
                    position: 1 << 20,
                    supply: .source,
                    round: 2,
                    starved: 1000,
                    nextReport: 250,
                    asks: true,
                    failed: [source.id]
                )
                let join = SwarmMessage.Join(
                    progress: progress,
                    size: 1 << 27,
                    zone: "a",
                    addresses: source.addresses,
                    source: source.id
                )
                let bodies: [(String, SwarmMessage.Body)] = [
                    ("join.bin", .join(join)), ("progress.bin", .progress(progress)), ("leave.bin", .leave),
                    ("place.bin", .place(.init(sources: [source], round: 3))), ("elsewhere.bin", .elsewhere(source)),
                ]
                guard let key = CrowdKey(bytes: [UInt8](repeating: 1, count: CrowdKey.length)) else { return [] }
                return bodies.map { name, body in
                    Sample(name: name, bytes: SwarmMessage(key: key, body: body).encoded())
                }
            },
            run: { bytes in
                guard let message = try? SwarmMessage(decoding: bytes) else { return false }
                check((try? SwarmMessage(decoding: message.encoded())) == message, "a message decodes from its bytes")
                var coordinator = Coordinator()
                for step in 1...3 {
                    let now = MonotonicTime.zero + .seconds(step)
                    _ = coordinator.receive(message, from: peer(UInt8(step)).id, now: now)
                    _ = coordinator.found([SwarmMessage.Source(id: peer(9).id)], of: message.key, now: now)
                    _ = coordinator.advance(to: now + .milliseconds(500))
                }
                check(coordinator.keys.count <= 1, "a message opens one crowd")
                return true
            }
        )
    ]
}
