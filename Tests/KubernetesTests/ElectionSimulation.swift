import TestSupport
import Time

@testable import Kubernetes

/// Several nodes and one Lease, with faults of network, clocks and processes. Time is in microseconds.
struct ElectionSimulation {
    struct Faults {
        /// The share of requests and of responses that are lost, in thousandths.
        var lostRequests = 0
        var lostAnswers = 0
        /// The maximum delay of a message; most are far shorter.
        var longestDelay: Int64 = 20_000
        /// The share of wake-ups after a pause of the whole process, in thousandths.
        var pauses = 0
        var longestPause: Int64 = 0
        /// The share of wake-ups that find the process ended, in thousandths. Half of the ends are orderly.
        var ends = 0
        /// The maximum difference of clock speeds in per cent.
        var skew = 0
    }

    private enum Event {
        case wake
        case arrive(LeaderElection.Request, call: Int)
        case answer(LeaderElection.Outcome, call: Int)
    }

    private struct Node {
        var election: LeaderElection
        let offset: Int64
        let speed: Double
        var pausedUntil: Int64 = 0
        var call: Int?

        func local(_ time: Int64) -> MonotonicTime {
            MonotonicTime(nanoseconds: 1000 * (offset + Int64(Double(time) * speed)))
        }

        func global(_ local: MonotonicTime) -> Int64 {
            Int64(Double(local.nanoseconds / 1000 - offset) / speed) + 1
        }
    }

    private let timing: ElectionTiming
    private var generator: SeededGenerator
    private var nodes: [Node] = []
    private var queue: [(time: Int64, order: Int, node: Int, event: Event)] = []
    private var order = 0
    private var calls = 0
    private var lease: Lease?
    private var version = 0
    private(set) var time: Int64 = 0
    var faults: Faults

    /// The times at which more than one node led.
    private(set) var overlaps: [Int64] = []
    /// The number of elections.
    private(set) var elections = 0
    /// The longest time without a leader since ``startGap()``.
    private(set) var longestGap: Int64 = 0
    private var lastLed: Int64 = 0

    init(nodes count: Int, timing: ElectionTiming, faults: Faults, generator: SeededGenerator) {
        self.timing = timing
        self.faults = faults
        self.generator = generator
        for index in 0..<count {
            let offset = Int64.random(in: 0...3_000_000_000, using: &self.generator)
            let skew = Double(faults.skew) / 100
            let speed = 1 + Double.random(in: -skew...skew, using: &self.generator)
            let election = LeaderElection(
                identity: "node\(index)",
                timing: timing,
                now: MonotonicTime(nanoseconds: 1000 * offset)
            )
            nodes.append(Node(election: election, offset: offset, speed: speed))
            schedule(.wake, of: index, at: 0)
        }
    }

    var leaders: [Int] { nodes.indices.filter { nodes[$0].election.isLeader(at: nodes[$0].local(time)) } }
    var transitions: Int32 { lease?.record.transitions ?? 0 }

    mutating func startGap() {
        longestGap = 0
        lastLed = time
    }

    /// Runs for some seconds. Checks the leaders every 20 ms and at each event.
    mutating func run(seconds: Int64) {
        let end = time + seconds * 1_000_000
        while time < end {
            let next = queue.indices.min { (queue[$0].time, queue[$0].order) < (queue[$1].time, queue[$1].order) }
            let tick = time + 20_000
            guard let next, queue[next].time <= tick else {
                time = tick
                look()
                continue
            }
            let (due, _, node, event) = queue.remove(at: next)
            time = max(time, due)
            look()
            carryOut(event, on: node)
            look()
        }
    }

    private mutating func look() {
        let leaders = leaders
        if leaders.count > 1 { overlaps.append(time) }
        if !leaders.isEmpty { lastLed = time }
        longestGap = max(longestGap, time - lastLed)
    }

    private mutating func carryOut(_ event: Event, on index: Int) {
        switch event {
        case .arrive(let request, let call):
            let outcome = apply(request)
            guard !happens(faults.lostAnswers) else { return }
            schedule(.answer(outcome, call: call), of: index, at: time + delay())
        case .answer(_, let call) where nodes[index].call != call:
            return
        case _ where time < nodes[index].pausedUntil:
            schedule(event, of: index, at: nodes[index].pausedUntil)
        case .answer(let outcome, _):
            nodes[index].call = nil
            let random = Double.random(in: 0...1, using: &generator)
            nodes[index].election.receive(outcome, at: nodes[index].local(time), random: random)
            step(index)
        case .wake:
            guard nodes[index].call == nil else { return }
            if happens(faults.pauses) {
                nodes[index].pausedUntil = time + Int64.random(in: 0...faults.longestPause, using: &generator)
                schedule(.wake, of: index, at: nodes[index].pausedUntil)
            } else if happens(faults.ends) {
                end(index)
            } else {
                step(index)
            }
        }
    }

    private mutating func end(_ index: Int) {
        let now = nodes[index].local(time)
        if Bool.random(using: &generator) {
            nodes[index].election.resign(at: now)
            step(index)
        } else {
            restart(index)
        }
    }

    private mutating func restart(_ index: Int) {
        let start = time + Int64.random(in: 0...20_000_000, using: &generator)
        nodes[index].call = nil
        let identity = nodes[index].election.identity
        nodes[index].election = LeaderElection(identity: identity, timing: timing, now: nodes[index].local(start))
        schedule(.wake, of: index, at: start)
    }

    private mutating func step(_ index: Int) {
        let step = nodes[index].election.next(at: nodes[index].local(time))
        elections += nodes[index].election.takeEvents().count { $0 == .elected }
        switch step {
        case .finished:
            restart(index)
        case .wait(let until):
            schedule(.wake, of: index, at: max(time + 1, nodes[index].global(until)))
        case .send(let request, let deadline):
            calls += 1
            nodes[index].call = calls
            if !happens(faults.lostRequests) {
                schedule(.arrive(request, call: calls), of: index, at: time + delay())
            }
            schedule(.answer(.failed, call: calls), of: index, at: max(time + 1, nodes[index].global(deadline)))
        }
    }

    private mutating func apply(_ request: LeaderElection.Request) -> LeaderElection.Outcome {
        switch request {
        case .get:
            return lease.map { .lease($0) } ?? .absent
        case .create(let change):
            guard lease == nil else { return .conflict }
            return write(change)
        case .update(let known, let change):
            guard let lease else { return .absent }
            guard lease.version == known.version else { return .conflict }
            return write(change)
        }
    }

    private mutating func write(_ change: LeaseChange) -> LeaderElection.Outcome {
        version += 1
        let record = LeaseRecord(
            holder: change.holder,
            duration: change.duration,
            acquireTime: change.keepsAcquireTime ? lease?.record.acquireTime : "\(version)",
            renewTime: "\(version)",
            transitions: change.transitions
        )
        let new = Lease(record: record, version: "\(version)")
        lease = new
        return .lease(new)
    }

    private mutating func schedule(_ event: Event, of node: Int, at time: Int64) {
        order += 1
        queue.append((time, order, node, event))
    }

    private mutating func happens(_ thousandths: Int) -> Bool {
        thousandths > 0 && Int.random(in: 0..<1000, using: &generator) < thousandths
    }

    private mutating func delay() -> Int64 {
        let limit =
            Int.random(in: 0..<8, using: &generator) == 0 ? faults.longestDelay : min(faults.longestDelay, 50_000)
        return Int64.random(in: 500...max(limit, 500), using: &generator)
    }
}
