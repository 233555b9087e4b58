public import Multiformats
public import Time

/// A node's part in one crowd: where it gets the content from, and what it tells the coordinator.
///
/// Messages, what happens to its transfer and the time go in; actions come out. It never waits without a deadline
/// (``MemberWaits``), whatever messages are lost: without a coordinator it goes on with the providers that its own lookup
/// found, or upstream.
public struct Member: Sendable {
    /// What a member does.
    public enum Action: Hashable, Sendable {
        /// Send a message to a coordinator.
        case send(SwarmMessage, to: PeerID)
        /// Read from a source from a byte on, instead of what it reads from now.
        case read(from: SwarmMessage.Source, at: Int64)
        /// Read no more from the source; the next action comes later.
        case pause
        /// Answer 404, or end the body, so that the client goes upstream from the byte reached.
        case goUpstream
    }

    /// What happens to a member's transfer.
    public enum Event: Hashable, Sendable {
        /// A message came. Only those of the present coordinator count.
        case message(SwarmMessage.Body, from: PeerID)
        /// There are this many bytes, in order, that others can read.
        case reached(Int64)
        /// Bytes came, but not enough for others to read more.
        case fed
        /// The source refused, ended early or could not be reached.
        case sourceFailed
        /// The node's own lookup found complete providers.
        case found([SwarmMessage.Source])
        /// The connection to the coordinator has ended.
        case coordinatorLost
        /// The client fetches from upstream, on its own account: it answered the 404 that it got, or never asked.
        case wentUpstream
        /// The client gave up, or upstream refused it. The content is gone.
        case stopped
        /// The deadline has come.
        case timer
    }

    /// The fixed properties of a member.
    public struct Configuration: Sendable {
        /// The crowd.
        public var key: CrowdKey
        /// The size of the content; 0 if it is unknown.
        public var size: Int64
        /// Whether it is a manifest or a configuration, for which no client waits long.
        public var isSmall: Bool
        /// Whether others can read the content while it comes.
        public var canServe: Bool
        /// The node's zone; empty for none.
        public var zone: String
        /// The addresses at which others reach this node.
        public var addresses: [[UInt8]]
        /// Random bits that spread what many members do for the same reason.
        public var jitter: UInt64

        /// Creates a configuration.
        public init(
            key: CrowdKey,
            size: Int64 = 0,
            isSmall: Bool = false,
            canServe: Bool = true,
            zone: String = "",
            addresses: [[UInt8]] = [],
            jitter: UInt64 = 0
        ) {
            self.key = key
            self.size = size
            self.isSmall = isSmall
            self.canServe = canServe
            self.zone = zone
            self.addresses = addresses
            self.jitter = jitter
        }
    }

    /// Where a member gets the content from.
    public enum State: Hashable, Sendable {
        /// Nothing was asked yet. -> `searching`
        case idle
        /// It waits for a place. -> `reading`, `upstream`
        case searching
        /// It reads from this source. -> `searching`, `upstream`, `complete`
        case reading(PeerID)
        /// Its client fetches from upstream. -> `complete`, `stopped`
        case upstream
        /// It has everything, and serves others.
        case complete
        /// It has nothing any more.
        case stopped
    }

    /// The link to the coordinator.
    private enum Link: Hashable, Sendable {
        /// The coordinator has not answered the join yet. -> `joined`, `alone`
        case joining(until: MonotonicTime)
        /// The coordinator answered, and may have to do so again by a deadline. -> `joining`
        case joined(answerBy: MonotonicTime)
        /// A join is due after a short random time. -> `joining`
        case rejoining(at: MonotonicTime)
        /// No coordinator answered. The member goes on without.
        case alone
    }

    /// The fixed properties.
    public let configuration: Configuration
    /// Where it gets the content from.
    public private(set) var state = State.idle
    /// The bytes that others can read from it.
    public private(set) var position: Int64 = 0
    private var coordinators: [PeerID]
    private var tries = 0
    private var link = Link.alone
    /// Sources to fall back on: those of the place, and those of this node's own lookup.
    private var spares: [SwarmMessage.Source] = []
    private var providers: [SwarmMessage.Source] = []
    /// Whether the node's own lookup has ended.
    private var hasLookup = false
    /// Sources that failed since the last report that said so.
    private var failed: [PeerID] = []
    private var round: UInt32 = 0
    private var reports = 0
    private var reportAt = MonotonicTime.distantFuture
    /// When the last byte came, the source was changed, or the member began to wait.
    private var quietSince = MonotonicTime.zero
    /// When the member began to wait for its first byte or, later, for a place.
    private var waitingSince = MonotonicTime.zero
    /// Whether the coordinator was asked about the silence of the source.
    private var hasComplained = false
    /// Whether the coordinator said that the source starves itself.
    private var staysPut = false

    /// A member that has not asked yet.
    ///
    /// - Parameter coordinators: the nodes that speak the protocol, the closest to the key first.
    public init(_ configuration: Configuration, coordinators: [PeerID]) {
        self.configuration = configuration
        self.coordinators = Array(coordinators.prefix(MemberWaits.coordinators))
    }

    /// The coordinator that it talks with.
    public var coordinator: PeerID? { tries < coordinators.count && link != .alone ? coordinators[tries] : nil }

    /// Whether it needs a deadline no more: it has everything or nothing.
    public var isAtEnd: Bool { state == .complete || state == .stopped }

    /// When ``handle(_:now:)`` with a timer is due; `nil` for never.
    public var deadline: MonotonicTime? {
        guard !isAtEnd, state != .idle else { return nil }
        var times: [MonotonicTime] = []
        switch link {
        case .joining(let until): times.append(until)
        case .joined(let answerBy): times += [answerBy, reportAt]
        case .rejoining(let at): times.append(at)
        case .alone: break
        }
        switch state {
        case .searching: times.append(searchEnd)
        case .reading: times.append(leaveAt)
        case .idle, .upstream, .complete, .stopped: break
        }
        if case .reading = state, !hasComplained, case .joined = link {
            times.append(quietSince + MemberWaits.starving)
        }
        return times.min().flatMap { $0 == .distantFuture ? nil : $0 }
    }

    private var searchEnd: MonotonicTime {
        if position > 0 { return waitingSince + MemberWaits.gap }
        return waitingSince + (configuration.isSmall ? MemberWaits.manifestStart : MemberWaits.start)
    }

    private var leaveAt: MonotonicTime {
        if position == 0 { return min(searchEnd, quietSince + MemberWaits.starved) }
        return quietSince + (staysPut ? MemberWaits.patience : MemberWaits.starved)
    }

    /// Begins: asks for a place.
    ///
    /// - Parameter position: the bytes that are there from an earlier try.
    public mutating func start(at position: Int64 = 0, now: MonotonicTime) -> [Action] {
        guard state == .idle else { return [] }
        var out: [Action] = []
        self.position = max(0, position)
        search(now: now)
        join(now: now, &out)
        checkInvariants()
        return out
    }

    /// Handles an event.
    public mutating func handle(_ event: Event, now: MonotonicTime) -> [Action] {
        guard !isAtEnd, state != .idle else { return [] }
        var out: [Action] = []
        switch event {
        case .message(let body, let sender):
            if sender == coordinator { receive(body, now: now, &out) }
        case .reached(let position): reach(position, now: now, &out)
        case .fed:
            quietSince = now
            hasComplained = false
        case .sourceFailed:
            if case .reading(let source) = state { leaveSource(source, now: now, &out) }
        case .found(let sources):
            providers = Array(sources.prefix(SwarmMessage.Limits.sources))
            hasLookup = true
            if link == .alone, state == .searching { readSpare(now: now, &out) }
        case .coordinatorLost:
            if case .alone = link { break }
            // Many members learn this in the same moment.
            link = .rejoining(at: now + spread(.milliseconds(500)))
            if state == .searching { link = .rejoining(at: now + spread(.milliseconds(50))) }
            tries += 1
        case .wentUpstream: goUpstream(now: now, tellsClient: false, &out)
        case .stopped:
            tell(.leave, &out)
            state = .stopped
        case .timer: tick(now: now, &out)
        }
        checkInvariants()
        return out
    }

    // MARK: Messages

    private mutating func receive(_ body: SwarmMessage.Body, now: MonotonicTime, _ out: inout [Action]) {
        switch body {
        case .elsewhere(let other):
            guard tries + 1 < MemberWaits.coordinators * 2 else { return }
            coordinators.insert(other.id, at: min(tries + 1, coordinators.count))
            tries += 1
            join(now: now, &out)
            return
        case .unknown:
            join(now: now, &out)
            return
        case .join, .progress, .leave: return
        case .place, .wait, .lead: break
        }
        if case .joining = link { scheduleReport(now: now) }
        link = .joined(answerBy: .distantFuture)
        switch body {
        case .place(let place):
            guard place.round > round else { return }
            round = place.round
            guard state == .searching || isReading else { return }
            guard let source = place.sources.first else {
                // Another member takes the place.
                if isReading { out.append(.pause) }
                search(now: now)
                return
            }
            spares = Array(place.sources.dropFirst())
            read(from: source, now: now, &out)
        case .wait: if isReading, hasComplained { staysPut = true }
        case .lead: if state == .searching || isReading { goUpstream(now: now, tellsClient: true, &out) }
        default: break
        }
    }

    private var isReading: Bool {
        if case .reading = state { return true }
        return false
    }

    // MARK: Progress

    private mutating func reach(_ position: Int64, now: MonotonicTime, _ out: inout [Action]) {
        guard position != self.position else { return }
        let isFirst = self.position == 0
        self.position = max(0, position)
        quietSince = now
        hasComplained = false
        staysPut = false
        if configuration.size > 0, position >= configuration.size {
            state = .complete
            report(now: now, &out)
        } else if isFirst {
            // Those behind this node wait for it.
            report(now: now, &out)
        }
    }

    /// The member has all of the content. For content of unknown size, which does not show by its position.
    public mutating func finish(now: MonotonicTime) -> [Action] {
        guard !isAtEnd, state != .idle else { return [] }
        var out: [Action] = []
        state = .complete
        report(now: now, &out)
        checkInvariants()
        return out
    }

    // MARK: Sources

    private mutating func search(now: MonotonicTime) {
        state = .searching
        waitingSince = now
        quietSince = now
        hasComplained = false
        staysPut = false
    }

    private mutating func read(from source: SwarmMessage.Source, now: MonotonicTime, _ out: inout [Action]) {
        state = .reading(source.id)
        quietSince = now
        hasComplained = false
        staysPut = false
        out.append(.read(from: source, at: position))
    }

    /// Leaves a source that failed, and asks for another one.
    private mutating func leaveSource(_ source: PeerID, now: MonotonicTime, _ out: inout [Action]) {
        if failed.count < SwarmMessage.Limits.sources, !failed.contains(source) { failed.append(source) }
        let began = position == 0 ? waitingSince : now
        search(now: now)
        waitingSince = began
        out.append(.pause)
        switch link {
        case .joined: report(asks: true, now: now, &out)
        case .joining, .rejoining: break
        case .alone: readSpare(now: now, &out)
        }
    }

    /// Without a place: reads from a source that it knows, or goes upstream.
    private mutating func readSpare(now: MonotonicTime, _ out: inout [Action]) {
        while !spares.isEmpty || !providers.isEmpty {
            let source = spares.isEmpty ? providers.removeFirst() : spares.removeFirst()
            guard !failed.contains(source.id) else { continue }
            read(from: source, now: now, &out)
            return
        }
        goUpstream(now: now, tellsClient: true, &out)
    }

    private mutating func goUpstream(now: MonotonicTime, tellsClient: Bool, _ out: inout [Action]) {
        guard state != .upstream else { return }
        state = .upstream
        quietSince = now
        if tellsClient { out.append(.goUpstream) }
        report(now: now, &out)
    }

    // MARK: Time

    private mutating func tick(now: MonotonicTime, _ out: inout [Action]) {
        switch link {
        case .joining(let until) where until <= now: nextCoordinator(now: now, &out)
        case .joined(let answerBy) where answerBy <= now: nextCoordinator(now: now, &out)
        case .rejoining(let at) where at <= now: join(now: now, &out)
        default: break
        }
        switch state {
        case .searching where searchEnd <= now: readSpare(now: now, &out)
        case .reading(let source) where leaveAt <= now:
            if position == 0, searchEnd <= now {
                goUpstream(now: now, tellsClient: true, &out)
            } else {
                leaveSource(source, now: now, &out)
            }
        case .reading where !hasComplained && quietSince + MemberWaits.starving <= now:
            hasComplained = true
            report(asks: true, now: now, &out)
        default: break
        }
        if case .joined = link, reportAt <= now, !isAtEnd { report(now: now, &out) }
    }

    private mutating func nextCoordinator(now: MonotonicTime, _ out: inout [Action]) {
        tries += 1
        join(now: now, &out)
    }

    private mutating func join(now: MonotonicTime, _ out: inout [Action]) {
        guard tries < coordinators.count else {
            link = .alone
            if state == .searching, hasLookup || !spares.isEmpty { readSpare(now: now, &out) }
            return
        }
        link = .joining(until: now + MemberWaits.answer)
        var source: PeerID?
        if case .reading(let id) = state { source = id }
        let join = SwarmMessage.Join(
            progress: progress(asks: true, now: now),
            size: configuration.size,
            canServe: configuration.canServe,
            zone: configuration.zone,
            addresses: configuration.addresses,
            source: source
        )
        tell(.join(join), &out)
        scheduleReport(now: now)
    }

    // MARK: Reports

    private mutating func report(asks: Bool = false, now: MonotonicTime, _ out: inout [Action]) {
        guard case .joined(let answerBy) = link else { return }
        reports += 1
        let asks = asks || state == .searching || reports % MemberWaits.askEvery == 0 && state != .complete
        scheduleReport(now: now)
        tell(.progress(progress(asks: asks, now: now)), &out)
        failed = []
        if asks { link = .joined(answerBy: min(answerBy, now + MemberWaits.answer)) }
    }

    private func progress(asks: Bool, now: MonotonicTime) -> SwarmMessage.Progress {
        SwarmMessage.Progress(
            position: position,
            supply: state.supply,
            round: round,
            starved: isReading ? UInt32(clamping: Int64((now - quietSince) / .milliseconds(1))) : 0,
            nextReport: UInt32(clamping: Int64(MemberWaits.interval(after: reports) / .milliseconds(1))),
            asks: asks,
            failed: failed
        )
    }

    private mutating func scheduleReport(now: MonotonicTime) {
        let interval = max(
            MemberWaits.interval(after: reports),
            state == .searching ? MemberWaits.searchInterval : .zero
        )
        reportAt = now + (interval - spread(interval / 5))
    }

    private mutating func tell(_ body: SwarmMessage.Body, _ out: inout [Action]) {
        guard let coordinator else { return }
        out.append(.send(SwarmMessage(key: configuration.key, body: body), to: coordinator))
    }

    /// A part of a duration that differs from member to member.
    private func spread(_ duration: Duration) -> Duration {
        duration * (Double(configuration.jitter % 1024) / 1024)
    }

    /// Checks in debug builds that all parts agree with each other.
    private func checkInvariants() {
        assert(position >= 0)
        assert(failed.count <= SwarmMessage.Limits.sources)
        assert(isAtEnd || state == .upstream || deadline != nil, "each wait has a deadline")
        assert(coordinators.count <= MemberWaits.coordinators * 3)
    }
}

extension Member.State {
    fileprivate var supply: SwarmMessage.Supply {
        switch self {
        case .idle, .searching, .stopped: .none
        case .reading: .source
        case .upstream: .upstream
        case .complete: .complete
        }
    }
}
