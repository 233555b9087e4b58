internal import Multiformats
internal import Time

/// The members of one crowd, and who reads from whom: the soft state of a coordinator for one key.
///
/// Members have slots, which are the indices of `slots`. Sources form a forest: its roots are complete sources and members
/// that get the content from upstream.
struct Crowd: Sendable {
    typealias Slot = Int

    enum Phase: Sendable {
        /// Needs a place. -> `reading`, `leading`, `complete`
        case waiting
        /// Reads from a source. -> all others
        case reading
        /// Gets the content from upstream. -> `complete`, `waiting`
        case leading
        /// Has all of it. An outside provider is complete from the start.
        case complete
    }

    struct Node: Sendable {
        let id: PeerID
        var addresses: [[UInt8]]
        var zone = 0
        var canServe = true
        /// A provider that was found by a lookup, and reports nothing.
        var isOutside = false
        var phase = Phase.waiting
        /// When the phase began, or a place was given.
        var since: MonotonicTime
        var position: Int64 = 0
        var reportedAt: MonotonicTime
        /// Bytes per second, from the last two reports.
        var rate = 0.0
        /// When its next report is due.
        var dueAt = MonotonicTime.distantFuture
        /// When it counts as dead without another report.
        var silentAt: MonotonicTime
        var source: Slot?
        /// Where it reads from by the word of another coordinator, while that node is not a member.
        var foreignSource: PeerID?
        var children: [Slot] = []
        var depth = 0
        var round: UInt32 = 0
        /// Sources that it could not read from, the latest last.
        var barred: [PeerID] = []
        /// The members that could not read from it.
        var failures = 0
        /// Whether it fell behind its own source.
        var isSlow = false
        /// How far it was behind its source at its last report, and in how many reports in a row that grew.
        var lag: Int64 = 0
        var lagging = 0
        /// The rate of the reader whose place it took for a trial.
        var trialRate: Double?
        /// Whether that made nothing faster.
        var isSettled = false
        /// Whether `waiting` has an entry for it.
        var isQueued = false
        /// The depth at which `open` has an entry for it.
        var offeredDepth: Int?
        /// Whether its last report said that its source sends nothing.
        var isStarved = false
    }

    let key: CrowdKey
    let policy: CrowdPolicy
    private(set) var size: Int64 = 0
    private(set) var nodes: [Node?] = []
    private var freeSlots: [Slot] = []
    private(set) var index: [PeerID: Slot] = [:]
    /// The zones by name; 0 has no name.
    private var zones: [String: Int] = ["": 0]
    /// Sources that may have a free place, by zone and depth. Some entries are out of date.
    private var open: [[[Slot]]] = [[]]
    /// Members that may wait for a place. Some entries are out of date.
    private var waiting: [Slot] = []
    private(set) var incomplete = 0
    private var places = 1
    /// The reader that made room for a member which is about to get its place.
    private var displaced: Slot?
    private var joined = (since: MonotonicTime.zero, count: 0)
    /// When the members that wait for the end of a round are placed.
    private(set) var roundAt: MonotonicTime?
    /// When the lookup for providers counts as fruitless; `nil` once it has ended.
    private var lookupUntil: MonotonicTime?
    private(set) var lastActivity: MonotonicTime

    init(key: CrowdKey, policy: CrowdPolicy, now: MonotonicTime) {
        self.key = key
        self.policy = policy
        lookupUntil = now + CrowdPolicy.lookup
        lastActivity = now
        joined.since = now
    }

    var count: Int { index.count }

    /// The maximum number of zones that are told apart.
    private static let maximumZones = 64
    /// The maximum number of barred sources of a member.
    private static let maximumBarred = 4

    // MARK: Messages

    mutating func join(_ join: SwarmMessage.Join, from id: PeerID, now: MonotonicTime, _ out: inout [SwarmAction]) {
        lastActivity = now
        if join.size > 0 { size = join.size }
        let slot: Slot
        if let known = index[id] {
            slot = known
            if nodes[slot]?.phase == .complete { incomplete += 1 }
            nodes[slot]?.isOutside = false
            detach(slot)
        } else {
            slot = add(Node(id: id, addresses: join.addresses, since: now, reportedAt: now, silentAt: now))
            incomplete += 1
        }
        let zone = zoneNumber(join.zone)
        modify(slot) { node in
            if node.phase == .complete { node.phase = .waiting }
            node.addresses = join.addresses
            node.zone = zone
            node.canServe = join.canServe
            node.round = max(node.round, join.progress.round)
            node.since = now
            node.rate = 0
        }
        note(join.progress, of: slot, now: now)
        switch join.progress.supply {
        case .complete: complete(slot, now: now)
        case .upstream: lead(slot, now: now)
        case .source where join.source != nil:
            modify(slot) { $0.foreignSource = join.source }
            setPhase(slot, .reading, now: now)
            link(slot)
        case .source, .none: enqueue(slot, now: now)
        }
        serveArrival(slot, asks: join.progress.asks, now: now, &out)
    }

    /// Places a member that has just joined, or queues it for the end of the round.
    private mutating func serveArrival(_ slot: Slot, asks: Bool, now: MonotonicTime, _ out: inout [SwarmAction]) {
        guard nodes[slot]?.phase == .waiting else {
            placeWaiting(now: now, &out)
            if asks { send(.wait, to: slot, &out) }
            return
        }
        if now - joined.since > CrowdPolicy.round { joined = (now, 0) }
        joined.count += 1
        guard joined.count > CrowdPolicy.placedAtOnce else {
            placeWaiting(now: now, &out)
            if nodes[slot]?.phase == .waiting { send(.wait, to: slot, &out) }
            return
        }
        if roundAt == nil { roundAt = now + CrowdPolicy.round }
        send(.wait, to: slot, &out)
    }

    mutating func progress(
        _ progress: SwarmMessage.Progress,
        from id: PeerID,
        now: MonotonicTime,
        _ out: inout [SwarmAction]
    ) {
        guard let slot = index[id], let before = nodes[slot] else {
            out.append(.send(SwarmMessage(key: key, body: .unknown), to: id))
            return
        }
        lastActivity = now
        note(progress, of: slot, now: now)
        // A report that crossed a new place says nothing of it.
        let isCurrent = progress.round == before.round || now - before.since >= CrowdPolicy.crossing
        if isCurrent {
            for failed in progress.failed { bar(failed, for: slot) }
        }
        if progress.supply == .source, progress.round == before.round, progress.starved >= CrowdPolicy.starved {
            complaint(of: slot, now: now)
        }
        switch progress.supply {
        case .complete: complete(slot, now: now)
        case .upstream: lead(slot, now: now)
        case .none where isCurrent && before.phase != .waiting:
            detach(slot)
            enqueue(slot, now: now)
        case .source where isCurrent && before.phase == .leading:
            // It found a source by itself.
            setPhase(slot, .reading, now: now)
        case .none, .source: break
        }
        if before.position == 0, progress.position > 0 { offer(slot) }
        // Others that wait are looked at with the next tick, unless this report changes what they can have.
        let isNewSource = nodes[slot]?.phase != before.phase || before.position == 0 && progress.position > 0
        if isNewSource, !waiting.isEmpty { placeWaiting(now: now, &out) }
        if progress.asks, nodes[slot]?.round == before.round, nodes[slot]?.phase != .leading || before.phase == .leading
        {
            send(.wait, to: slot, &out)
        }
    }

    /// Judges the source of a member that gets nothing from it.
    private mutating func complaint(of slot: Slot, now: MonotonicTime) {
        guard let node = nodes[slot], let source = node.source, let above = nodes[source] else { return }
        let isOverdue = above.phase != .complete && above.dueAt + CrowdPolicy.lateness / 2 <= now
        if isOverdue {
            // If it lives, it joins anew.
            remove(source, now: now)
        } else if above.phase == .complete || above.position > node.position + 2 * policy.hop {
            // It has what it does not send.
            bar(above.id, for: slot)
            detach(slot)
            enqueue(slot, now: now)
        }
    }

    mutating func leave(_ id: PeerID, now: MonotonicTime, _ out: inout [SwarmAction]) {
        guard let slot = index[id] else { return }
        lastActivity = now
        remove(slot, now: now)
        placeWaiting(now: now, &out)
    }

    mutating func found(_ providers: [SwarmMessage.Source], now: MonotonicTime, _ out: inout [SwarmAction]) {
        lookupUntil = nil
        for provider in providers.prefix(CoordinatorLimits.providers) where index[provider.id] == nil {
            var node = Node(
                id: provider.id,
                addresses: provider.addresses,
                since: now,
                reportedAt: now,
                silentAt: .distantFuture
            )
            node.isOutside = true
            node.phase = .complete
            offer(add(node))
        }
        placeWaiting(now: now, &out)
    }

    // MARK: Time

    mutating func endRound(now: MonotonicTime, _ out: inout [SwarmAction]) {
        guard let roundAt, roundAt <= now else { return }
        self.roundAt = nil
        placeWaiting(now: now, &out)
    }

    /// Looks at all members: who is dead, who leads in vain, who is behind a slow source.
    mutating func tick(now: MonotonicTime, _ out: inout [SwarmAction]) {
        if let until = lookupUntil, until <= now { lookupUntil = nil }
        for slot in nodes.indices {
            guard let node = nodes[slot] else { continue }
            if node.phase != .complete, node.silentAt <= now {
                remove(slot, now: now)
            } else if node.phase == .reading, node.source == nil {
                link(slot)
                // Its source has had the time to join here, if it lives.
                if node.isStarved, nodes[slot]?.source == nil, now - node.since >= CrowdPolicy.crossing {
                    if let source = node.foreignSource { bar(source, for: slot) }
                    enqueue(slot, now: now)
                }
            }
        }
        if policy.overtakes {
            for slot in nodes.indices where nodes[slot]?.phase == .reading && nodes[slot]?.children.isEmpty == false {
                considerOvertaking(of: slot, now: now, &out)
            }
        }
        if !waiting.isEmpty { placeWaiting(now: now, &out) }
    }

    // MARK: Overtaking

    private mutating func considerOvertaking(of slot: Slot, now: MonotonicTime, _ out: inout [SwarmAction]) {
        guard let node = nodes[slot], let above = node.source, let source = nodes[above] else { return }
        guard node.rate > 0, now - node.since >= CrowdPolicy.trial else { return }
        let isFarBehind = node.rate < source.rate * CrowdPolicy.farBehind
        guard let reader = node.children.max(by: { estimate($0, now) < estimate($1, now) }), let next = nodes[reader],
            next.canServe, next.rate > 0, now - next.since >= CrowdPolicy.trial, !next.barred.contains(source.id)
        else { return }
        let position = estimate(slot, now)
        // What is left must be worth it, and the reader must have all that its source has.
        let slack = max(2 * policy.hop, Int64(node.rate * 0.1))
        guard position - estimate(reader, now) <= slack else { return }
        if size > 0, Double(size - position) < node.rate { return }
        switch source.phase {
        case .complete, .leading:
            guard estimate(above, now) - position >= policy.lag else { return }
            if let rate = node.trialRate {
                guard now - node.since >= CrowdPolicy.trial * 2 else { return }
                let isSettled = node.rate < rate * policy.overtakingGain
                modify(slot) { ($0.trialRate, $0.isSettled) = (nil, isSettled) }
            }
            guard nodes[slot]?.isSettled == false else { return }
            exchange(slot, with: reader, now: now, &out)
            modify(reader) { $0.trialRate = node.rate }
        default:
            guard node.lagging >= (isFarBehind ? 1 : CrowdPolicy.lagging), node.rate < 0.9 * source.rate else { return }
            swap(reader, over: slot, now: now, &out)
        }
    }

    /// Exchanges the places of a source and its reader. The last of the reader's readers makes room for that.
    private mutating func exchange(_ slot: Slot, with reader: Slot, now: MonotonicTime, _ out: inout [SwarmAction]) {
        guard let above = nodes[slot]?.source else { return }
        let moved = nodes[reader]?.children.last
        detach(reader)
        detach(slot)
        attach(reader, to: above, now: now, &out)
        modify(reader) { $0.rate = 0 }
        if let moved {
            detach(moved)
            attach(moved, to: slot, now: now, &out)
        }
        attach(slot, to: reader, now: now, &out)
    }

    /// Gives a reader the place of its source, which then waits for one at the end.
    private mutating func swap(_ reader: Slot, over slot: Slot, now: MonotonicTime, _ out: inout [SwarmAction]) {
        guard let above = nodes[slot]?.source else { return }
        detach(reader)
        let others = nodes[slot]?.children ?? []
        for other in others {
            detach(other)
            enqueue(other, now: now)
        }
        detach(slot)
        modify(slot) {
            $0.isSlow = true
            $0.round &+= 1
        }
        enqueue(slot, now: now)
        let round = nodes[slot]?.round ?? 0
        send(.place(SwarmMessage.Place(sources: [], round: round)), to: slot, &out)
        attach(reader, to: above, now: now, &out)
    }

    // MARK: Places

    /// Gives a place, or the lead, to each waiting member that can have one.
    private mutating func placeWaiting(now: MonotonicTime, _ out: inout [SwarmAction]) {
        guard lookupUntil == nil, roundAt == nil || roundAt.map({ $0 <= now }) == true || waiting.count <= 1 else {
            return
        }
        adjustPlaces()
        guard !waiting.isEmpty else { return }
        var members = waiting.filter { nodes[$0]?.phase == .waiting }
        for slot in waiting { modify(slot) { $0.isQueued = false } }
        waiting = []
        let hasSource = nodes.indices.contains { isSource($0) }
        // Those of a zone stand together, and those with most bytes come first.
        members.sort { left, right in
            guard let one = nodes[left], let other = nodes[right] else { return left < right }
            if one.position != other.position { return one.position > other.position }
            return one.zone == other.zone ? left < right : one.zone < other.zone
        }
        for slot in members {
            guard nodes[slot]?.phase == .waiting else { continue }
            if hasSource, let source = freePlace(for: slot, now: now) ?? sharedPlace(for: slot, now: now) {
                attach(slot, to: source, now: now, &out)
                if let guest = displaced {
                    displaced = nil
                    attach(guest, to: slot, now: now, &out)
                }
            } else if mustLead(slot, now: now) {
                lead(slot, now: now)
                send(.lead, to: slot, &out)
            } else {
                enqueue(slot, now: nodes[slot]?.since ?? now)
            }
        }
    }

    /// The source with a free place that is fewest hops from a complete one, in the member's zone if there is one.
    private mutating func freePlace(for slot: Slot, now: MonotonicTime) -> Slot? {
        guard let zone = nodes[slot]?.zone else { return nil }
        if zone != 0 {
            if let found = freePlace(for: slot, in: zone, now: now) { return found.slot }
            if let guest = guest(inPlaceOf: slot, now: now), let source = nodes[guest]?.source {
                // The guest follows the member, so that the border is crossed no more often.
                detach(guest)
                displaced = guest
                return source
            }
        }
        var best: (slot: Slot, depth: Int)?
        for other in open.indices where other != zone || zone == 0 {
            guard let found = freePlace(for: slot, in: other, now: now) else { continue }
            if best.map({ found.depth < $0.depth }) ?? true { best = found }
        }
        return best?.slot
    }

    /// A reader from another zone at a source of the member's zone, which has no more than the member.
    private func guest(inPlaceOf slot: Slot, now: MonotonicTime) -> Slot? {
        guard let node = nodes[slot] else { return nil }
        return nodes.indices.first { candidate in
            guard let reader = nodes[candidate], reader.zone != node.zone, let source = reader.source else {
                return false
            }
            return nodes[source]?.zone == node.zone && estimate(candidate, now) <= node.position && node.canServe
                && canRead(slot, from: source, now: now)
        }
    }

    private mutating func freePlace(for slot: Slot, in zone: Int, now: MonotonicTime) -> (slot: Slot, depth: Int)? {
        for isSlow in [false, true] {
            for depth in open[zone].indices {
                var place = 0
                while place < open[zone][depth].count {
                    let candidate = open[zone][depth][place]
                    guard let node = nodes[candidate], node.zone == zone, node.depth == depth, hasRoom(candidate) else {
                        // Order does not matter within a depth.
                        if nodes[candidate]?.offeredDepth == depth { nodes[candidate]?.offeredDepth = nil }
                        open[zone][depth].swapAt(place, open[zone][depth].count - 1)
                        open[zone][depth].removeLast()
                        continue
                    }
                    if node.isSlow == isSlow, canRead(slot, from: candidate, now: now) { return (candidate, depth) }
                    place += 1
                }
            }
        }
        return nil
    }

    /// For a member that has waited long enough: the source with the fewest readers, free place or not.
    private func sharedPlace(for slot: Slot, now: MonotonicTime) -> Slot? {
        guard let node = nodes[slot], now - node.since >= CrowdPolicy.patience else { return nil }
        let sources = nodes.indices.filter { isSource($0) && canRead(slot, from: $0, now: now) }
        return sources.min { (nodes[$0]?.children.count ?? 0, $0) < (nodes[$1]?.children.count ?? 0, $1) }
    }

    /// Whether a waiting member is to get the content from upstream.
    private func mustLead(_ slot: Slot, now: MonotonicTime) -> Bool {
        guard let node = nodes[slot] else { return false }
        for other in nodes.indices where other != slot {
            guard let rival = nodes[other] else { continue }
            switch rival.phase {
            case .complete:
                if isSource(other), !node.barred.contains(rival.id) { return false }
            case .leading:
                guard !node.barred.contains(rival.id) else { continue }
                // A leader that others cannot read from is awaited for a while; it may be refused, or not serve at all.
                if rival.canServe, rival.position > 0 || now - rival.since < CrowdPolicy.leaderStart,
                    rival.position >= node.position || now - node.since < CrowdPolicy.leaderStart
                {
                    return false
                }
            case .reading:
                if isSource(other), rival.position > 0 || node.position == 0, canRead(slot, from: other, now: now),
                    isFed(other)
                {
                    return false
                }
            case .waiting:
                if rival.position > node.position || rival.position == node.position && other < slot,
                    now - rival.since < CrowdPolicy.leaderStart
                {
                    return false
                }
            }
        }
        return true
    }

    /// Whether the sources above a reader end at one that has the content or gets it from upstream.
    private func isFed(_ slot: Slot) -> Bool {
        var at = slot
        for _ in 0...nodes.count {
            guard let node = nodes[at] else { return false }
            guard node.phase == .reading else { return node.phase != .waiting }
            guard let source = node.source else { return node.foreignSource != nil }
            at = source
        }
        return false
    }

    private func isSource(_ slot: Slot) -> Bool {
        guard let node = nodes[slot], node.canServe, node.failures < CoordinatorLimits.failures else { return false }
        switch node.phase {
        case .complete: return true
        case .reading: return policy.usesGrowing
        case .leading: return policy.usesGrowing && node.position > 0
        case .waiting: return false
        }
    }

    private func hasRoom(_ slot: Slot) -> Bool {
        guard isSource(slot), let node = nodes[slot] else { return false }
        return node.children.count < places
    }

    /// Whether a source has what a member needs next, and does not get it through the member.
    private func canRead(_ slot: Slot, from source: Slot, now: MonotonicTime) -> Bool {
        guard slot != source, let reader = nodes[slot], let node = nodes[source] else { return false }
        guard !reader.barred.contains(node.id) else { return false }
        if node.phase == .complete { return true }
        guard estimate(source, now) >= reader.position else { return false }
        var at = source
        for _ in 0...nodes.count {
            guard let above = nodes[at]?.source else { return true }
            if above == slot { return false }
            at = above
        }
        return false
    }

    /// The bytes that a source has by now if it went on at its rate.
    private func estimate(_ slot: Slot, _ now: MonotonicTime) -> Int64 {
        guard let node = nodes[slot] else { return 0 }
        guard node.phase != .complete else { return size > 0 ? size : SwarmMessage.Limits.position }
        guard node.phase == .reading || node.phase == .leading else { return node.position }
        // A report every few seconds at most: beyond that nothing is known.
        let seconds = min(5, max(0, (now - node.reportedAt) / .seconds(1)))
        let position = node.position + Int64(min(node.rate * seconds, 1e15))
        return size > 0 ? min(position, size) : position
    }

    // MARK: Changes

    private mutating func modify(_ slot: Slot, _ change: (inout Node) -> Void) {
        guard nodes.indices.contains(slot), var node = nodes[slot] else { return }
        // So that the change copies none of its arrays.
        nodes[slot] = nil
        change(&node)
        nodes[slot] = node
    }

    private mutating func add(_ node: Node) -> Slot {
        let slot: Slot
        if let free = freeSlots.popLast() {
            slot = free
            nodes[slot] = node
        } else {
            slot = nodes.count
            nodes.append(node)
        }
        index[node.id] = slot
        return slot
    }

    private mutating func remove(_ slot: Slot, now: MonotonicTime) {
        guard let node = nodes[slot] else { return }
        detach(slot)
        for child in node.children {
            detach(child)
            enqueue(child, now: now)
        }
        if node.phase != .complete { incomplete -= 1 }
        index[node.id] = nil
        nodes[slot] = nil
        freeSlots.append(slot)
    }

    private mutating func note(_ progress: SwarmMessage.Progress, of slot: Slot, now: MonotonicTime) {
        let ahead = nodes[slot]?.source.map { estimate($0, now) } ?? 0
        let (lag, hop) = (policy.lag, policy.hop)
        modify(slot) { node in
            let seconds = (now - node.reportedAt) / .seconds(1)
            if seconds > 0.02 {
                let rate = Double(max(0, progress.position - node.position)) / seconds
                node.rate = node.rate > 0 ? (node.rate + rate) / 2 : rate
                node.reportedAt = now
                node.position = progress.position
            } else if progress.position > node.position {
                node.position = progress.position
            }
            let next = Duration.milliseconds(min(Int64(progress.nextReport), 10_000))
            node.dueAt = now + next
            node.isStarved = progress.starved >= CrowdPolicy.starved
            node.lagging = ahead - node.position >= lag && ahead - node.position > node.lag + hop ? node.lagging + 1 : 0
            node.lag = ahead - node.position
            node.silentAt = now + next * 2 + CrowdPolicy.lateness
        }
    }

    private mutating func bar(_ id: PeerID, for slot: Slot) {
        modify(slot) { node in
            guard !node.barred.contains(id) else { return }
            if node.barred.count >= Self.maximumBarred { node.barred.removeFirst() }
            node.barred.append(id)
        }
        if let failed = index[id], nodes[slot]?.source == failed { modify(failed) { $0.failures += 1 } }
    }

    private mutating func setPhase(_ slot: Slot, _ phase: Phase, now: MonotonicTime) {
        modify(slot) {
            $0.phase = phase
            $0.since = now
            $0.lagging = 0
            $0.lag = 0
        }
    }

    /// Queues a member for a place.
    private mutating func enqueue(_ slot: Slot, now: MonotonicTime) {
        setPhase(slot, .waiting, now: now)
        modify(slot) { $0.foreignSource = nil }
        guard nodes[slot]?.isQueued == false else { return }
        modify(slot) { $0.isQueued = true }
        waiting.append(slot)
    }

    private mutating func lead(_ slot: Slot, now: MonotonicTime) {
        guard let phase = nodes[slot]?.phase, phase != .leading, phase != .complete else { return }
        detach(slot)
        setPhase(slot, .leading, now: now)
        modify(slot) { $0.foreignSource = nil }
        setDepth(slot, 0)
        offer(slot)
    }

    private mutating func complete(_ slot: Slot, now: MonotonicTime) {
        guard let node = nodes[slot], node.phase != .complete else { return }
        if size == 0 { size = node.position }
        detach(slot)
        setPhase(slot, .complete, now: now)
        modify(slot) {
            $0.foreignSource = nil
            $0.isSlow = false
            $0.silentAt = .distantFuture
        }
        incomplete -= 1
        setDepth(slot, 0)
        offer(slot)
    }

    private mutating func attach(_ slot: Slot, to source: Slot, now: MonotonicTime, _ out: inout [SwarmAction]) {
        setPhase(slot, .reading, now: now)
        connect(slot, to: source)
        modify(slot) {
            $0.round &+= 1
            $0.isSettled = false
            $0.trialRate = nil
        }
        guard let node = nodes[slot], let above = nodes[source] else { return }
        var sources = [SwarmMessage.Source(id: above.id, addresses: above.addresses)]
        // The source of the source is the one to fall back on: it has more, and its place is free if the source dies.
        if let next = above.source, let spare = nodes[next] {
            sources.append(SwarmMessage.Source(id: spare.id, addresses: spare.addresses))
        }
        send(.place(SwarmMessage.Place(sources: sources, round: node.round)), to: slot, &out)
    }

    private mutating func connect(_ slot: Slot, to source: Slot) {
        modify(slot) {
            $0.source = source
            $0.foreignSource = nil
        }
        modify(source) { $0.children.append(slot) }
        setDepth(slot, (nodes[source]?.depth ?? 0) + 1)
        offer(slot)
    }

    private mutating func detach(_ slot: Slot) {
        guard let source = nodes[slot]?.source else { return }
        modify(slot) { $0.source = nil }
        modify(source) { node in node.children.removeAll { $0 == slot } }
        offer(source)
    }

    /// Finds the source that a member reads from by the word of another coordinator.
    private mutating func link(_ slot: Slot) {
        guard let id = nodes[slot]?.foreignSource, let source = index[id], source != slot else { return }
        var at = source
        while let above = nodes[at]?.source {
            if above == slot { return }
            at = above
        }
        connect(slot, to: source)
    }

    private mutating func setDepth(_ slot: Slot, _ depth: Int) {
        var rest = [(slot, depth)]
        while let (at, depth) = rest.popLast() {
            guard let node = nodes[at], node.depth != depth else { continue }
            modify(at) { $0.depth = depth }
            offer(at)
            for child in node.children { rest.append((child, depth + 1)) }
        }
    }

    /// Records that a source may have a free place.
    private mutating func offer(_ slot: Slot) {
        guard let node = nodes[slot], hasRoom(slot), node.offeredDepth != node.depth else { return }
        modify(slot) { $0.offeredDepth = node.depth }
        while open[node.zone].count <= node.depth { open[node.zone].append([]) }
        open[node.zone][node.depth].append(slot)
    }

    private mutating func adjustPlaces() {
        let count = policy.placesPerSource(members: incomplete, size: size)
        guard count != places else { return }
        places = count
        open = Array(repeating: [], count: open.count)
        for slot in nodes.indices {
            modify(slot) { $0.offeredDepth = nil }
            offer(slot)
        }
    }

    private mutating func zoneNumber(_ name: String) -> Int {
        if let number = zones[name] { return number }
        guard zones.count < Self.maximumZones else { return 0 }
        let number = zones.count
        zones[name] = number
        open.append([])
        return number
    }

    private func send(_ body: SwarmMessage.Body, to slot: Slot, _ out: inout [SwarmAction]) {
        guard let node = nodes[slot], !node.isOutside else { return }
        out.append(.send(SwarmMessage(key: key, body: body), to: node.id))
    }
}
