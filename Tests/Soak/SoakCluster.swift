import LibP2P
import Logging
import Multiformats
import Routing
import TestSupport

/// A cluster on loopback and what is known of it: who lives, and who has advertised what since when.
///
/// Everything that is done to it follows from the seed; what it does by itself does not.
final class SoakCluster {
    /// What was seen of lookups whose answer was known.
    struct Lookups {
        /// Lookups of keys that a settled node had advertised for long enough.
        var expected = 0
        /// Of these, those that found a holder.
        var found = 0
        /// Lookups of keys that no node has ever advertised, and those of them that found a provider.
        var absent = 0
        var invented = 0
        /// How long the successful ones took.
        var times: [Duration] = []
    }

    /// What was done.
    struct Deeds {
        var joins = 0
        var leaves = 0
        var kills = 0
        var adverts = 0
        var withdrawals = 0
    }

    private struct Place {
        /// Keeps its identity over half of the restarts.
        var keyPair = KeyPair()
        var node: SoakNode?
        /// The keys that the node advertises, and since when.
        var keys: [String: ContinuousClock.Instant] = [:]
    }

    private(set) var lookups = Lookups()
    private(set) var deeds = Deeds()
    /// What went wrong at once.
    private(set) var failures: [String] = []
    /// Kept weakly: an object that is left after the end has leaked.
    private(set) var hosts: [WeakReference] = []

    private let timing: SoakTiming
    private let logger: Logger
    private var random: SeededGenerator
    private var places: [Place]

    init(size: Int, timing: SoakTiming, seed: UInt64, logger: Logger) {
        self.timing = timing
        self.logger = logger
        random = SeededGenerator(seed: seed)
        places = (0..<size).map { _ in Place() }
    }

    var living: [SoakNode] { places.compactMap(\.node) }

    /// Starts all nodes.
    func fill() async throws {
        for index in places.indices { try await join(index) }
    }

    /// Does one random thing.
    func act() async throws {
        let vacant = places.indices.filter { places[$0].node == nil }
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<3 where places.count - vacant.count > places.count / 2:
            if let index = randomLiving() { await end(index, isOrderly: Bool.random(using: &random)) }
        case 0..<10:
            if let index = vacant.randomElement(using: &random) { try await join(index) }
        case 10..<20: await advertise()
        case 20..<25: await withdraw()
        default: await lookUp()
        }
    }

    /// Ends all nodes.
    func empty() async {
        for index in places.indices where places[index].node != nil { await end(index, isOrderly: true) }
    }

    /// How many records each node should hold: one for each key of each other node.
    func expectedRecords(of node: SoakNode) -> Int {
        places.filter { $0.node !== node && $0.node != nil }.map(\.keys.count).reduce(0, +)
    }

    // MARK: -

    private func randomLiving() -> Int? {
        places.indices.filter { places[$0].node != nil }.randomElement(using: &random)
    }

    private func join(_ index: Int) async throws {
        if Bool.random(using: &random) { places[index].keyPair = KeyPair() }
        let known = living.shuffled(using: &random).prefix(3).flatMap(\.host.listenAddresses)
        let node = try await SoakNode(
            keyPair: places[index].keyPair,
            address: "127.0.0.\(20 + index)",
            bootstrap: known,
            timing: timing,
            logger: logger
        )
        places[index].node = node
        places[index].keys = [:]
        hosts.append(WeakReference(node.host))
        hosts.append(WeakReference(node.router))
        deeds.joins += 1
    }

    /// In order, the node takes its keys back; else the others are left with its records.
    private func end(_ index: Int, isOrderly: Bool) async {
        guard let node = places[index].node else { return }
        if let stuck = await node.stop(withdrawing: isOrderly ? Array(places[index].keys.keys) : []) {
            failures.append("\(node.peerID) did not end within 30 s: \(stuck)")
        }
        places[index].node = nil
        places[index].keys = [:]
        if isOrderly { deeds.leaves += 1 } else { deeds.kills += 1 }
    }

    private static let universe = 2000

    private func advertise() async {
        guard let index = randomLiving(), let node = places[index].node, places[index].keys.count < 300 else { return }
        let keys = (0..<Int.random(in: 1...20, using: &random)).map { _ in
            "sha256:\(Int.random(in: 0..<Self.universe, using: &random))"
        }.filter { places[index].keys[$0] == nil }
        await node.router.advertise(keys)
        for key in keys { places[index].keys[key] = .now }
        deeds.adverts += keys.count
    }

    private func withdraw() async {
        guard let index = randomLiving(), let node = places[index].node else { return }
        let keys = places[index].keys.keys.sorted().shuffled(using: &random).prefix(10)
        await node.router.withdraw(Array(keys))
        for key in keys { places[index].keys[key] = nil }
        deeds.withdrawals += keys.count
    }

    private func lookUp() async {
        guard let index = randomLiving(), let node = places[index].node else { return }
        let now = ContinuousClock.now
        if Int.random(in: 0..<10, using: &random) == 0 {
            lookups.absent += 1
            let number = Int.random(in: 0..<Self.universe, using: &random)
            let found = await node.providers(of: "sha256:absent-\(number)", deadline: .seconds(5))
            if !found.peers.isEmpty { lookups.invented += 1 }
            return
        }
        // A key that another node has had for long enough, looked up by a node that was up as long.
        let holders = places.filter { $0.node != nil && $0.node !== node }
        let candidates = holders.flatMap(\.keys).filter { now - $0.value > timing.settling }.map(\.key)
        guard now - node.start > timing.settling, let key = Set(candidates).sorted().randomElement(using: &random)
        else {
            return
        }
        let expected = Set(
            holders.filter { $0.keys[key].map { now - $0 > timing.settling } ?? false }.compactMap(\.node?.peerID)
        )
        let (peers, time) = await node.providers(of: key, deadline: .seconds(5))
        lookups.expected += 1
        guard !peers.isDisjoint(with: expected) else {
            logger.notice("a key was not found", metadata: ["key": "\(key)", "found": "\(peers.count)"])
            return
        }
        lookups.found += 1
        lookups.times.append(time)
    }
}

/// An object that may be gone.
struct WeakReference {
    private(set) weak var object: AnyObject?

    init(_ object: AnyObject) { self.object = object }
}
