internal import Kademlia
internal import Multiformats
import Time

/// What lookups cost and brought.
public struct LookupFigures: Sendable {
    /// Lookups that were started.
    public var count = 0
    /// Those that found a provider which has the content.
    public var successes = 0
    /// Of those that found it, the sequential hops; none when the own records had the answer.
    public var hops = Distribution()
    /// Messages of a lookup: requests, and as many answers where they came.
    public var messages = Distribution()
    /// Milliseconds of virtual time to the first provider that has the content.
    public var latency = Distribution()
    /// Providers offered before that which do not have the content.
    public var falseProviders = Distribution()

    /// From 0 to 1; 1 if there was none.
    public var successRate: Double { count == 0 ? 1 : Double(successes) / Double(count) }
}

/// What all nodes sent in a stretch of virtual time.
public struct TrafficFigures: Sendable {
    /// Messages a node and minute, over the nodes that were up at the end.
    public var messagesPerNodeMinute = 0.0
    /// Kilobytes a node and minute.
    public var kilobytesPerNodeMinute = 0.0
    /// Messages of all nodes.
    public var messages = 0
    /// Records of all nodes.
    public var records = 0
}

extension SimulatedNetwork {
    /// The figures of the lookups that were started from `first` on and before `end`, counted from 0 in order of start.
    /// One whose provider is gone before it ended is left out, and so is one whose seeker is.
    public func lookupFigures(_ range: Range<Int>? = nil) -> LookupFigures {
        var figures = LookupFigures()
        for probe in probes[range ?? probes.indices] {
            let found = probe.succeeded != nil
            let isProvided = probe.provider.map { nodes[Int($0)].isUp } ?? true
            guard found || isProvided && nodes[Int(probe.node)].isUp else { continue }
            figures.count += 1
            figures.messages.add(Double(2 * probe.requests))
            guard let succeeded = probe.succeeded else { continue }
            figures.successes += 1
            figures.hops.add(Double(probe.hops))
            figures.latency.add((succeeded - probe.started) / .milliseconds(1))
            figures.falseProviders.add(Double(probe.falseProviders))
        }
        return figures
    }

    /// How many lookups were started so far.
    public var probeCount: Int { probes.count }

    /// Lets time pass and gives what all nodes sent meanwhile.
    public func traffic(for duration: Duration, _ action: (SimulatedNetwork) -> Void = { _ in }) -> TrafficFigures {
        for index in nodes.indices { nodes[index].traffic = Traffic() }
        let start = now
        action(self)
        run(for: duration - (now - start))
        var figures = TrafficFigures()
        var bytes = 0
        for node in nodes {
            figures.messages += node.traffic.messages
            figures.records += node.traffic.records
            bytes += node.traffic.bytes
        }
        let nodeMinutes = Double(max(size, 1)) * ((now - start) / .seconds(60))
        guard nodeMinutes > 0 else { return figures }
        figures.messagesPerNodeMinute = Double(figures.messages) / nodeMinutes
        figures.kilobytesPerNodeMinute = Double(bytes) / 1000 / nodeMinutes
        return figures
    }

    /// How many records each node that is up holds for others.
    public var recordsHeld: Distribution {
        Distribution(up.map { Double(nodes[Int($0)].machine.recordCount) })
    }

    /// How many honest nodes hold the record of a key, its provider excepted.
    func holderCount(of key: SimulatedKey) -> Int {
        let provider = nodes[Int(key.provider)].info.id
        let question = Message(kind: .getProviders, key: key.key.bytes)
        return up.count { node in
            guard node != key.provider, nodes[Int(node)].behaviour == .honest else { return false }
            var machine = nodes[Int(node)].machine
            let answer = machine.handle(question, from: provider, now: now)
            return answer?.providerPeers.contains { $0.info.id == provider } == true
        }
    }

    /// How many connections each node that is up has.
    public var connectionCounts: Distribution {
        Distribution(up.map { Double(nodes[Int($0)].connections.count) })
    }
}
