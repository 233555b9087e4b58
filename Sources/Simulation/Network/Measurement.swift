internal import Kademlia
internal import Multiformats
import Time

/// The cost and success of lookups.
public struct LookupFigures: Sendable {
    /// The number of started lookups.
    public var count = 0
    /// The number of lookups that found a provider with the content.
    public var successes = 0
    /// The sequential hops of successful lookups; zero with a local record.
    public var hops = Distribution()
    /// The messages of a lookup: requests and their replies.
    public var messages = Distribution()
    /// The virtual time in milliseconds to the first provider with the content.
    public var latency = Distribution()
    /// The number of offered providers without the content before that.
    public var falseProviders = Distribution()

    /// The share of successful lookups, from 0 to 1; 1 without any.
    public var successRate: Double { count == 0 ? 1 : Double(successes) / Double(count) }
}

/// The messages of all nodes in a period of virtual time.
public struct TrafficFigures: Sendable {
    /// Messages per node and minute, for the nodes that were up at the end.
    public var messagesPerNodeMinute = 0.0
    /// Kilobytes per node and minute.
    public var kilobytesPerNodeMinute = 0.0
    /// Messages of all nodes.
    public var messages = 0
    /// Records of all nodes.
    public var records = 0
}

extension SimulatedNetwork {
    /// The figures of the lookups of a range, counted from 0 in order of start. Omits a lookup whose provider or seeker
    /// went down before its end.
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

    /// The number of started lookups.
    public var probeCount: Int { probes.count }

    /// Runs for some time and returns the traffic of all nodes.
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

    /// The number of records that each node that is up holds for others.
    public var recordsHeld: Distribution {
        Distribution(up.map { Double(nodes[Int($0)].machine.recordCount) })
    }

    /// The number of connections of each node that is up.
    public var connectionCounts: Distribution {
        Distribution(up.map { Double(nodes[Int($0)].connections.count) })
    }
}
