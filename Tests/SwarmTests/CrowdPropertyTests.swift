import Multiformats
import TestSupport
import Testing
import Time

@testable import Swarm

/// Random crowds: members join and vanish, messages are lost and late, clocks differ, two nodes coordinate at once.
struct CrowdPropertyTests {
    @Test(arguments: 0..<40) func everyMemberThatStaysFinishes(number: Int) {
        var world = World(chaos: true, holders: number % 3 == 0 ? 1 : 0)
        world.run()
        world.check()
    }

    @Test(arguments: 0..<20) func oneCopyComesFromUpstreamWithoutFaults(number: Int) {
        var world = World(chaos: false, holders: number.isMultiple(of: 2) ? 1 : 0)
        world.run()
        world.check()
        let expected = number.isMultiple(of: 2) ? 0 : world.size
        #expect(world.upstreamBytes == expected, "seed \(world.generator.seed)")
    }

    @Test(arguments: 0..<10) func twoCoordinatorsCostAtMostACopyMore(number: Int) {
        var world = World(chaos: false, holders: 0, isSplit: true)
        world.run()
        world.check()
        #expect(world.upstreamBytes <= 2 * world.size, "seed \(world.generator.seed)")
    }
}

/// A small model of the nodes and their network, in steps of 20 ms.
private struct World {
    struct Node {
        var member: Member
        var startsAt: Int64
        var vanishesAt: Int64
        /// How far the node's clock is ahead of the others, in milliseconds.
        var skew: Int64
        var speed: Int64
        var position: Int64 = 0
        var source: Int?
        var isUpstream = false
        var quietSince: Int64
        var longestQuiet: Int64 = 0
        var isDone = false
    }

    struct Letter {
        var message: SwarmMessage
        var from: Int
        var to: Int
        var arrives: Int64
    }

    let size: Int64 = 20_000_000
    let chaos: Bool
    let holders: Int
    var generator = SeededGenerator()
    var nodes: [Node] = []
    var coordinators: [Int: Coordinator] = [:]
    var letters: [Letter] = []
    var now: Int64 = 0
    var upstreamBytes: Int64 = 0
    private static let firstCoordinator = 200
    private static let firstHolder = 100

    init(chaos: Bool, holders: Int, isSplit: Bool = false) {
        self.chaos = chaos
        self.holders = holders
        let count = Int.random(in: 3...12, using: &generator)
        for number in 0..<3 { coordinators[Self.firstCoordinator + number] = Coordinator() }
        for number in 0..<count {
            var order = [0, 1, 2].map { peer(Self.firstCoordinator + $0) }
            // Some nodes take another one for the closest.
            if isSplit && number.isMultiple(of: 2) || chaos && Int.random(in: 0..<5, using: &generator) == 0 {
                order.swapAt(0, 1)
            }
            let configuration = Member.Configuration(
                key: key,
                size: size,
                canServe: !chaos || Int.random(in: 0..<8, using: &generator) > 0,
                jitter: generator.next()
            )
            let start = Int64.random(in: 0...(chaos ? 1500 : 50), using: &generator)
            let vanishes = chaos && Int.random(in: 0..<4, using: &generator) == 0
            nodes.append(
                Node(
                    member: Member(configuration, coordinators: order),
                    startsAt: start,
                    vanishesAt: vanishes ? Int64.random(in: start...4000, using: &generator) : .max,
                    skew: Int64.random(in: 0...100_000, using: &generator),
                    speed: chaos ? Int64.random(in: 1_000_000...20_000_000, using: &generator) : 10_000_000,
                    quietSince: start
                )
            )
        }
    }

    func clock(_ number: Int) -> MonotonicTime {
        time(now + (nodes.indices.contains(number) ? nodes[number].skew : Int64(number) * 1000))
    }

    func isAlive(_ number: Int) -> Bool {
        guard nodes.indices.contains(number) else {
            // With faults the first coordinator vanishes in the middle.
            return !(chaos && number == Self.firstCoordinator && now > 1800)
        }
        return nodes[number].startsAt <= now && nodes[number].vanishesAt > now
    }

    mutating func run() {
        while now < 90_000, nodes.contains(where: { !$0.isDone && $0.vanishesAt == .max }) {
            now += 20
            for number in nodes.indices where isAlive(number) && nodes[number].member.state == .idle {
                perform(nodes[number].member.start(now: clock(number)), of: number)
            }
            deliver()
            for number in nodes.indices where isAlive(number) {
                if let deadline = nodes[number].member.deadline, deadline <= clock(number) { tell(number, .timer) }
            }
            for number in coordinators.keys.sorted() where isAlive(number) {
                guard let deadline = coordinators[number]?.deadline, deadline <= clock(number) else { continue }
                let now = clock(number)
                act(coordinators[number]?.advance(to: now) ?? [], of: number)
            }
            move()
        }
    }

    private mutating func deliver() {
        let due = letters.filter { $0.arrives <= now }
        letters.removeAll { $0.arrives <= now }
        for letter in due where isAlive(letter.to) && isAlive(letter.from) {
            if nodes.indices.contains(letter.to) {
                tell(letter.to, .message(letter.message.body, from: peer(letter.from)))
            } else {
                // What travels is what the coding makes of it.
                guard let message = try? SwarmMessage(decoding: letter.message.encoded()) else {
                    Issue.record("expected a message to decode, seed \(generator.seed)")
                    continue
                }
                let (sender, now) = (peer(letter.from), clock(letter.to))
                act(coordinators[letter.to]?.receive(message, from: sender, now: now) ?? [], of: letter.to)
            }
        }
    }

    private mutating func send(_ message: SwarmMessage, from: Int, to: Int) {
        if chaos, Int.random(in: 0..<20, using: &generator) == 0 { return }
        let delay = chaos ? Int64.random(in: 0...(Bool.random(using: &generator) ? 20 : 400), using: &generator) : 0
        letters.append(Letter(message: message, from: from, to: to, arrives: now + delay))
    }

    private mutating func act(_ actions: [SwarmAction], of coordinator: Int) {
        for action in actions {
            switch action {
            case .send(let message, to: let id): send(message, from: coordinator, to: number(of: id))
            case .findProviders(let key):
                let sources = (0..<holders).map { SwarmMessage.Source(id: peer(Self.firstHolder + $0)) }
                let now = clock(coordinator)
                act(coordinators[coordinator]?.found(sources, of: key, now: now) ?? [], of: coordinator)
            }
        }
        coordinators[coordinator]?.checkInvariants()
    }

    private func number(of id: PeerID) -> Int { Int(id.bytes[4]) + Int(id.bytes[5]) << 8 }

    private mutating func tell(_ number: Int, _ event: Member.Event) {
        perform(nodes[number].member.handle(event, now: clock(number)), of: number)
    }

    private mutating func perform(_ actions: [Member.Action], of number: Int) {
        for action in actions {
            switch action {
            case .send(let message, to: let id): send(message, from: number, to: self.number(of: id))
            case .read(let source, let position):
                #expect(position == nodes[number].position, "seed \(generator.seed)")
                nodes[number].source = self.number(of: source.id)
            case .pause: nodes[number].source = nil
            case .goUpstream:
                nodes[number].source = nil
                nodes[number].isUpstream = true
            }
        }
    }

    private mutating func move() {
        let before = nodes.map(\.position)
        for number in nodes.indices where isAlive(number) && !nodes[number].isDone {
            var room: Int64 = 0
            if nodes[number].isUpstream {
                room = size - before[number]
            } else if let source = nodes[number].source {
                if source >= Self.firstHolder {
                    // The holder vanishes in the middle as well.
                    room = chaos && now > 1200 ? 0 : size - before[number]
                } else if isAlive(source) {
                    // A source never serves who is ahead of it.
                    room = max(0, before[source] - before[number])
                }
            }
            let bytes = min(room, nodes[number].speed / 50)
            nodes[number].longestQuiet = max(nodes[number].longestQuiet, now - nodes[number].quietSince)
            guard bytes > 0 else { continue }
            if nodes[number].isUpstream { upstreamBytes += bytes }
            nodes[number].position += bytes
            nodes[number].quietSince = now
            nodes[number].isDone = nodes[number].position == size
            tell(number, .reached(nodes[number].position))
        }
    }

    func check() {
        for (number, node) in nodes.enumerated() where node.vanishesAt == .max {
            #expect(
                node.isDone,
                "member \(number) stays at \(node.position) in \(node.member.state), seed \(generator.seed)"
            )
            #expect(node.member.state == .complete, "seed \(generator.seed)")
            // Two sources in a row that fall silent, and the search between and after them.
            #expect(node.longestQuiet <= 10_000, "member \(number), seed \(generator.seed)")
            // A member that left its source for upstream stays there: no content comes more than once.
        }
        // Every member that asks upstream has a reason: at worst each that stays does, never twice.
        #expect(upstreamBytes <= size * Int64(nodes.count), "seed \(generator.seed)")
        for coordinator in coordinators.values {
            let picture = coordinator.picture(of: key)
            var sources: [PeerID: PeerID] = [:]
            for member in picture?.members ?? [] where member.source != nil { sources[member.id] = member.source }
            for id in sources.keys {
                var at = id
                var steps = 0
                while let next = sources[at], steps <= sources.count { (at, steps) = (next, steps + 1) }
                #expect(steps <= sources.count, "a circle, seed \(generator.seed)")
            }
        }
    }
}
