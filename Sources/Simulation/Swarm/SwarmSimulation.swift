internal import Multiformats
internal import Swarm
import Time

/// Nodes that pull the same content at the same time, with the machines of real nodes over modelled links.
///
/// Bytes are a fluid: in each step the links are shared by progressive filling, three rounds of equal shares among the
/// streams that can use more. Messages are events with the latency and loss of `NetworkModel`.
final class SwarmSimulation {
    private enum Event {
        case start(Int)
        case timer(Int)
        case coordinatorTimer(Int)
        case message(SwarmMessage, from: Int, to: Int)
        case found(CrowdKey, node: Int)
        case ownLookup(Int)
        case sourceFailed(Int, attempt: Int)
        case upstreamAnswer(Int, attempt: Int)
        case vanish(Int)
    }

    private enum Supply: Equatable {
        case none
        case node(Int)
        case upstream
    }

    /// A node's transfer of one layer.
    private struct Transfer {
        let node: Int
        let layer: Int
        var member: Member
        var supply = Supply.none
        var position = 0.0
        /// What others can read.
        var readable: Int64 = 0
        var attempt = 0
        var isDone = false
        var isFromUpstream = false
        var rate = 0.0
        var lastByte = MonotonicTime.zero
        var lastTold = MonotonicTime.zero
        var longestGap = 0.0
        var timerAt = MonotonicTime.distantFuture
        var messages = 0
        var doneAt: MonotonicTime?
    }

    private struct Node {
        let id: PeerID
        var up: Double
        var down: Double
        var zone: Int
        var isAlive = true
        var isStraggler = false
        var isHolder = false
        var coordinator: Coordinator
        var coordinatorTimerAt = MonotonicTime.distantFuture
        var coordinatorMessages = 0
    }

    private let settings: SwarmSettings
    private let model: NetworkModel
    private var random: SimulationRandom
    private var queue = EventQueue<Event>()
    private var nodes: [Node] = []
    private var transfers: [Transfer] = []
    private let keys: [CrowdKey]
    private var layerOfKey: [CrowdKey: Int] = [:]
    private var now = MonotonicTime.zero
    private var upstreamBytes = 0.0
    private var borderBytes = 0.0
    private var coordinatorTime = Duration.zero
    private var refusals = 0
    private var rankings: [[Int]] = []
    /// Steps in which a source served a reader that was ahead of it.
    private(set) var servedAhead = 0
    /// The positions over time, for a diagram: seconds, and the share that each tenth of the nodes has.
    private(set) var curve: [(time: Double, share: Double)] = []

    init(settings: SwarmSettings, network: SimulatedNetwork.Settings) {
        self.settings = settings
        model = network.model
        random = SimulationRandom(seed: network.seed)
        let identities = Identities(seed: network.seed)
        var seeds = SimulationRandom(seed: SimulationRandom.mix(network.seed))
        keys = settings.layers.indices.compactMap { _ in
            CrowdKey(bytes: (0..<32).map { _ in UInt8(truncatingIfNeeded: seeds.next()) })
        }
        for (layer, key) in keys.enumerated() { layerOfKey[key] = layer }
        for number in 0..<(settings.nodes + settings.holders) {
            var factor = 1 + settings.spread * (2 * random.unit() - 1)
            let isStraggler = random.unit() < settings.stragglers && number < settings.nodes
            if isStraggler { factor /= settings.stragglerFactor }
            if number >= settings.nodes { factor = 1 }
            nodes.append(
                Node(
                    id: identities.peer(number).id,
                    up: settings.downlink * settings.uplinkRatio * factor,
                    down: settings.downlink * factor,
                    zone: settings.zones > 0 ? number % settings.zones : -1,
                    isStraggler: isStraggler,
                    isHolder: number >= settings.nodes,
                    coordinator: Coordinator(policy: settings.policy)
                )
            )
        }
        rankings = keys.map { key in
            // The distance of positions of 64 bits, as the DHT compares those of 256.
            let position = key.bytes.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            let positions = nodes.indices.map { SimulationRandom.mix(UInt64($0) &+ network.seed &* 977) }
            return Array(nodes.indices.sorted { positions[$0] ^ position < positions[$1] ^ position }.prefix(4))
        }
    }

    // MARK: Running

    func run() -> SwarmFigures {
        for node in 0..<settings.nodes {
            let start = MonotonicTime.zero + .nanoseconds(Int64(random.unit() * settings.joinWindow * 1e9))
            for layer in keys.indices {
                let configuration = Member.Configuration(
                    key: keys[layer],
                    size: settings.layers[layer],
                    zone: nodes[node].zone >= 0 ? "zone-\(nodes[node].zone)" : "",
                    jitter: random.next()
                )
                // A node asks the coordinators that it takes for the closest; itself it asks without a network.
                let member = Member(configuration, coordinators: rankings[layer].map { nodes[$0].id })
                queue.push(.start(transfers.count), at: start)
                transfers.append(Transfer(node: node, layer: layer, member: member))
            }
            if settings.vanishing > 0 {
                let seconds = random.exponential(mean: 60 / settings.vanishing)
                queue.push(.vanish(node), at: .zero + .nanoseconds(Int64(seconds * 1e9)))
            }
        }
        if let seconds = settings.coordinatorDies, let first = rankings.first?.first {
            queue.push(.vanish(first), at: .zero + .nanoseconds(Int64(seconds * 1e9)))
        }
        if let seconds = settings.sourceDies {
            queue.push(.vanish(-1), at: .zero + .nanoseconds(Int64(seconds * 1e9)))
        }
        let step = Duration.milliseconds(settings.step)
        let end = MonotonicTime.zero + .nanoseconds(Int64(settings.limit * 1e9))
        var steps = 0
        while now < end {
            let next = now + step
            while let time = queue.nextTime, time <= next, let (time, event) = queue.pop() {
                now = max(now, time)
                handle(event)
            }
            now = next
            flow(Double(settings.step) / 1000)
            steps += 1
            if steps.isMultiple(of: 20) {
                let total = transfers.reduce(0.0) { $0 + $1.position / Double(settings.layers[$1.layer]) }
                curve.append(((now - .zero) / .seconds(1), total / Double(max(1, transfers.count))))
            }
            if transfers.allSatisfy({ $0.isDone || !nodes[$0.node].isAlive }) { break }
        }
        return figures()
    }

    private func figures() -> SwarmFigures {
        var figures = SwarmFigures()
        let size = Double(settings.layers.reduce(0, +))
        for node in 0..<settings.nodes {
            let own = transfers[node * keys.count..<(node + 1) * keys.count]
            for transfer in own { figures.messages.add(Double(transfer.messages)) }
            guard nodes[node].isAlive else { continue }
            let ends = own.compactMap(\.doneAt)
            guard ends.count == keys.count, let last = ends.max() else {
                figures.unfinished += 1
                continue
            }
            let seconds = (last - .zero) / .seconds(1)
            figures.times.add(seconds / (size / settings.downlink))
            figures.ownTimes.add(seconds / (size / nodes[node].down))
            if !nodes[node].isStraggler { figures.fastTimes.add(seconds / (size / nodes[node].down)) }
            figures.longestGap = max(figures.longestGap, own.map(\.longestGap).max() ?? 0)
        }
        figures.upstreamCopies = upstreamBytes / size
        figures.borderCopies = settings.zones > 0 ? borderBytes / size / Double(settings.zones) : 0
        figures.coordinatorSeconds = coordinatorTime / .seconds(1)
        figures.coordinatorMessages = nodes.map(\.coordinatorMessages).max() ?? 0
        return figures
    }

    // MARK: Events

    private func handle(_ event: Event) {
        switch event {
        case .start(let transfer):
            guard nodes[transfers[transfer].node].isAlive else { return }
            transfers[transfer].lastByte = now
            perform(transfers[transfer].member.start(now: now), for: transfer)
            queue.push(.ownLookup(transfer), at: now + .milliseconds(3))
        case .timer(let transfer):
            transfers[transfer].timerAt = .distantFuture
            guard nodes[transfers[transfer].node].isAlive else { return }
            if let deadline = transfers[transfer].member.deadline, deadline <= now {
                tell(transfer, .timer)
            } else {
                setTimer(transfer)
            }
        case .coordinatorTimer(let node):
            nodes[node].coordinatorTimerAt = .distantFuture
            guard nodes[node].isAlive else { return }
            coordinate(node) { $0.advance(to: $1) }
        case .message(let message, let from, let to):
            guard nodes[to].isAlive, nodes[from].isAlive else { return }
            switch message.body {
            case .join, .progress, .leave:
                nodes[to].coordinatorMessages += 1
                let sender = nodes[from].id
                coordinate(to) { $0.receive(message, from: sender, now: $1) }
            default:
                guard let layer = layerOfKey[message.key], to < settings.nodes else { return }
                let transfer = to * keys.count + layer
                transfers[transfer].messages += 1
                tell(transfer, .message(message.body, from: nodes[from].id))
            }
        case .found(let key, let node):
            guard nodes[node].isAlive else { return }
            let sources = holders()
            coordinate(node) { $0.found(sources, of: key, now: $1) }
        case .ownLookup(let transfer):
            guard nodes[transfers[transfer].node].isAlive else { return }
            tell(transfer, .found(holders()))
        case .sourceFailed(let transfer, let attempt):
            guard transfers[transfer].attempt == attempt, nodes[transfers[transfer].node].isAlive else { return }
            tell(transfer, .sourceFailed)
        case .upstreamAnswer(let transfer, let attempt):
            guard transfers[transfer].attempt == attempt, nodes[transfers[transfer].node].isAlive else { return }
            if settings.refusesFirst, refusals == 0 {
                refusals += 1
                transfers[transfer].isDone = true
                tell(transfer, .stopped)
            } else {
                transfers[transfer].supply = .upstream
                transfers[transfer].isFromUpstream = true
            }
        case .vanish(let node):
            if node >= 0 {
                nodes[node].isAlive = false
            } else if settings.holders > 0 {
                nodes[settings.nodes].isAlive = false
            } else if let leader = transfers.first(where: { $0.supply == .upstream }) {
                nodes[leader.node].isAlive = false
            }
        }
    }

    private func holders() -> [SwarmMessage.Source] {
        (settings.nodes..<nodes.count).map { SwarmMessage.Source(id: nodes[$0].id) }
    }

    private func coordinate(_ node: Int, _ body: (inout Coordinator, MonotonicTime) -> [SwarmAction]) {
        let start = ContinuousClock.now
        let actions = body(&nodes[node].coordinator, now)
        coordinatorTime += ContinuousClock.now - start
        for action in actions {
            switch action {
            case .send(let message, let id):
                guard let receiver = Identities.number(of: id) else { continue }
                send(message, from: node, to: receiver)
            case .findProviders(let key): queue.push(.found(key, node: node), at: now + .milliseconds(2))
            }
        }
        if let deadline = nodes[node].coordinator.deadline, deadline < nodes[node].coordinatorTimerAt {
            nodes[node].coordinatorTimerAt = deadline
            queue.push(.coordinatorTimer(node), at: max(now, deadline))
        }
    }

    private func tell(_ transfer: Int, _ event: Member.Event) {
        perform(transfers[transfer].member.handle(event, now: now), for: transfer)
    }

    private func perform(_ actions: [Member.Action], for transfer: Int) {
        for action in actions {
            switch action {
            case .send(let message, let id):
                guard let receiver = Identities.number(of: id) else { continue }
                transfers[transfer].messages += 1
                send(message, from: transfers[transfer].node, to: receiver)
            case .read(let source, _):
                transfers[transfer].attempt += 1
                transfers[transfer].supply = .none
                guard let number = Identities.number(of: source.id), nodes.indices.contains(number) else { continue }
                transfers[transfer].supply = .node(number)
                if !nodes[number].isAlive {
                    queue.push(
                        .sourceFailed(transfer, attempt: transfers[transfer].attempt),
                        at: now + .milliseconds(200)
                    )
                }
            case .pause:
                transfers[transfer].attempt += 1
                transfers[transfer].supply = .none
            case .goUpstream:
                transfers[transfer].attempt += 1
                transfers[transfer].supply = .none
                queue.push(.upstreamAnswer(transfer, attempt: transfers[transfer].attempt), at: now + .milliseconds(30))
            }
        }
        setTimer(transfer)
    }

    private func setTimer(_ transfer: Int) {
        guard let deadline = transfers[transfer].member.deadline, deadline < transfers[transfer].timerAt else { return }
        transfers[transfer].timerAt = deadline
        queue.push(.timer(transfer), at: max(now, deadline))
    }

    private func send(_ message: SwarmMessage, from: Int, to: Int) {
        guard from != to else {
            queue.push(.message(message, from: from, to: to), at: now)
            return
        }
        guard let delay = model.transit(using: &random) else { return }
        queue.push(.message(message, from: from, to: to), at: now + delay)
    }

    // MARK: Bytes

    /// The readable bytes of a node for a layer.
    private func readable(_ node: Int, _ layer: Int) -> Double {
        if nodes[node].isHolder { return Double(settings.layers[layer]) }
        return Double(transfers[node * keys.count + layer].readable)
    }

    private func flow(_ seconds: Double) {
        var up = nodes.map { $0.isAlive ? $0.up : 0 }
        var down = nodes.map(\.down)
        var upstream = settings.upstream
        var active: [(transfer: Int, source: Int, room: Double)] = []
        for index in transfers.indices where !transfers[index].isDone {
            let transfer = transfers[index]
            guard nodes[transfer.node].isAlive else { continue }
            transfers[index].rate = 0
            switch transfer.supply {
            case .none: break
            case .upstream:
                active.append((index, -1, Double(settings.layers[transfer.layer]) - transfer.position))
            case .node(let source):
                let room = readable(source, transfer.layer) - transfer.position
                if room > 0, nodes[source].isAlive { active.append((index, source, room)) }
            }
        }
        fill(active, &up, &down, &upstream, seconds)
        for (index, source, room) in active {
            let bytes = min(transfers[index].rate * seconds, room)
            guard bytes > 0 else { continue }
            transfers[index].position += bytes
            if source < 0 { upstreamBytes += bytes }
            if source >= 0, nodes[source].zone != nodes[transfers[index].node].zone { borderBytes += bytes }
            transfers[index].longestGap = max(
                transfers[index].longestGap,
                (now - transfers[index].lastByte) / .seconds(1)
            )
            transfers[index].lastByte = now
            settle(index)
        }
    }

    /// Shares the links in three rounds.
    private func fill(
        _ active: [(transfer: Int, source: Int, room: Double)],
        _ up: inout [Double],
        _ down: inout [Double],
        _ upstream: inout Double,
        _ seconds: Double
    ) {
        var pending = active
        var readers = [Int](repeating: 0, count: nodes.count)
        var feeds = [Int](repeating: 0, count: nodes.count)
        for _ in 0..<3 {
            for node in nodes.indices { (readers[node], feeds[node]) = (0, 0) }
            var clients = 0
            for stream in pending {
                if stream.source >= 0 { readers[stream.source] += 1 } else { clients += 1 }
                feeds[transfers[stream.transfer].node] += 1
            }
            let (ups, downs, upstreamBefore) = (up, down, upstream)
            pending.removeAll { stream in
                let node = transfers[stream.transfer].node
                let share =
                    stream.source >= 0
                    ? ups[stream.source] / Double(readers[stream.source]) : upstreamBefore / Double(clients)
                let most = stream.room / seconds - transfers[stream.transfer].rate
                let rate = min(share, downs[node] / Double(feeds[node]), most)
                transfers[stream.transfer].rate += rate
                down[node] -= rate
                if stream.source >= 0 { up[stream.source] -= rate } else { upstream -= rate }
                return rate >= most
            }
            pending.removeAll { stream in
                down[transfers[stream.transfer].node] < 1
                    || (stream.source >= 0 ? up[stream.source] < 1 : upstream < 1)
            }
            if pending.isEmpty { return }
        }
    }

    /// Tells a member how far it has come.
    private func settle(_ index: Int) {
        let transfer = transfers[index]
        let size = settings.layers[transfer.layer]
        let hop = transfer.isFromUpstream ? settings.ingestHop : settings.relayHop
        let whole = transfer.position >= Double(size) - 0.5
        let readable = whole ? size : Int64(transfer.position) / hop * hop
        if readable != transfer.readable {
            transfers[index].readable = max(transfer.readable, readable)
            transfers[index].lastTold = now
            if whole {
                transfers[index].isDone = true
                transfers[index].doneAt = now
            }
            tell(index, .reached(transfers[index].readable))
        } else if now - transfer.lastTold > .milliseconds(500) {
            transfers[index].lastTold = now
            tell(index, .fed)
        }
    }
}
