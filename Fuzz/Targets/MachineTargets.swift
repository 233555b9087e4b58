import Kademlia
import Multiformats
import Time

extension FuzzTarget {
    /// A node of the DHT with limits that inputs can reach. It handles a sequence of messages of unknown peers, and of
    /// peers that it has asked.
    ///
    /// An input is a sequence of items: a byte that selects the kind and the peer, a length of two bytes, and a
    /// message.
    static let machine = FuzzTarget(
        name: "kad-machine",
        divisor: 5,
        dictionary: [
            [0x08], [0x12, 0x22, 0x12, 0x20], [0x42], [0x4A], [0x10], [0x20], [0x31], [0x42, 0, 0], [0x53, 0, 0],
        ],
        samples: {
            let key = Key("sha256:0")
            let records = [UInt8(0), 1].map { number in
                Message(kind: .addProvider, key: key.bytes, providerPeers: [Message.Peer(peer(number))]).encoded()
            }
            let answer = Message(kind: .findNode, closerPeers: [Message.Peer(peer(2)), Message.Peer(peer(3))]).encoded()
            let update = RecordUpdate(kind: .announce, keys: [key], provider: peer(2), timeToLive: .seconds(60))
            return [
                Sample(
                    name: "records.bin",
                    bytes: item(0x00, records[0]) + item(0x01, records[1])
                        + item(0x02, Message(kind: .getProviders, key: key.bytes).encoded())
                        + item(0x12, update.encoded())
                ),
                Sample(
                    name: "lookup.bin",
                    bytes: item(0x31, []) + item(0x20, answer) + item(0x32, []) + item(0x40, []) + item(0x21, answer)
                        + item(0x50, []) + item(0x60, [])
                ),
            ]
        },
        run: { input in
            var driver = MachineDriver()
            return driver.run(input)
        }
    )

    private static func item(_ form: UInt8, _ message: [UInt8]) -> [UInt8] {
        [form, UInt8(truncatingIfNeeded: message.count >> 8), UInt8(truncatingIfNeeded: message.count)] + message
    }

    /// One of a few peers.
    static func peer(_ number: UInt8) -> PeerInfo {
        let id = PeerID(publicKeyProtobuf: [0x08, 0x01, 0x12, 0x20] + [UInt8](repeating: number, count: 32))
        return PeerInfo(id: id, addresses: [Multiaddr(ip: .v4(IPv4Address(10, 0, 0, number)), tcpPort: 5001)])
    }
}

/// A driver without a network: each operation only ends.
private struct MachineDriver {
    private static let maximumRecords = 6
    private static let key = Key("sha256:0")

    private var machine: KademliaMachine
    private var operations: [KademliaMachine.OperationID] = []
    private var now = MonotonicTime.zero

    init() {
        var configuration = KademliaConfiguration()
        configuration.providerStore.maximumRecords = Self.maximumRecords
        configuration.providerStore.maximumPerKey = 3
        configuration.providerStore.maximumPerProvider = 4
        configuration.routingTable.bucketSize = 2
        configuration.routingTable.replacementCacheSize = 2
        configuration.maximumPendingAdmissions = 3
        configuration.maximumRemembered = 4
        machine = KademliaMachine(localPeer: FuzzTarget.peer(255).id, configuration: configuration, seed: 1, now: now)
        machine.setLocalAddresses(FuzzTarget.peer(255).addresses, now: now)
        machine.provide([Self.key], now: now)
    }

    /// - Returns: whether the input has a valid message.
    mutating func run(_ input: [UInt8]) -> Bool {
        var rest = input[...]
        var hasRead = false
        while rest.count >= 3 {
            let header = Array(rest.prefix(3))
            rest = rest.dropFirst(3)
            let message = Array(rest.prefix(Int(header[1]) << 8 | Int(header[2])))
            rest = rest.dropFirst(message.count)
            if feed(header[0], message) { hasRead = true }
            drain()
            check(machine.recordCount <= Self.maximumRecords, "records are bounded")
        }
        return hasRead
    }

    private mutating func feed(_ form: UInt8, _ bytes: [UInt8]) -> Bool {
        let peer = FuzzTarget.peer(form & 0x0F)
        now = now + .milliseconds(100)
        switch form >> 4 {
        case 0:
            guard let message = try? Message(decoding: bytes) else { return false }
            if let answer = machine.handle(message, from: peer.id, now: now) {
                check(answer.encoded().count <= Message.maximumSize, "answers are bounded")
            }
            return true
        case 1:
            guard let update = try? RecordUpdate(decoding: bytes) else { return false }
            // A peer can claim any id, and can name others.
            machine.handle(update, from: bytes.count % 4 == 0 ? peer.id : update.provider.id, now: now)
            return true
        case 2:
            guard let message = try? Message(decoding: bytes), let operation = operations.popLast() else {
                return false
            }
            machine.received(message, for: operation, now: now)
            return true
        case 3: machine.peerAppeared(peer, now: now)
        case 4:
            if let operation = operations.popLast() { machine.failed(operation, now: now) }
        case 5: _ = machine.findProviders(Key("sha256:\(form & 1)"), limit: 3, now: now)
        case 6:
            now = now + .seconds(Int64(1) << Int64(form & 0x0F))
            machine.advance(to: now)
        case 7: machine.peerGone(peer.id, now: now)
        case 8: machine.reportMissing(peer.id, for: Self.key, now: now)
        case 9: machine.stopProviding([Self.key], now: now)
        default:
            if let operation = operations.popLast() { machine.sent(operation, now: now) }
        }
        return false
    }

    private mutating func drain() {
        var count = 0
        while let action = machine.nextAction() {
            count += 1
            check(count < 100_000, "actions come to an end")
            switch action {
            case .request(let operation, _, _), .send(let operation, _, _): operations.append(operation)
            case .cancel(let operation): operations.removeAll { $0 == operation }
            case .found, .searchStarted, .searchEnded, .recordAdded: break
            }
        }
    }
}
