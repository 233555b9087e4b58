internal import Kademlia

/// What advertising costs as nodes hold more content, beside what one lookup for each key would.
public struct KeysScenario: Scenario {
    /// What the networks are made of.
    public var settings: SimulatedNetwork.Settings
    /// The size of the network.
    public var nodes = 1000
    /// The keys of each node that provides any.
    public var keysPerNode = [100, 1000, 10_000]
    /// How many nodes provide keys; all records of all nodes need not fit into the memory of one machine.
    public var providers = 50
    /// Lookups of provided keys, and as many of keys that nobody provides.
    public var lookups = 2000

    /// A scenario of the default numbers.
    public init(settings: SimulatedNetwork.Settings = SimulatedNetwork.Settings()) {
        self.settings = settings
    }

    /// Runs it.
    public func run(progress: (String) -> Void) -> Report {
        var report = Report(
            name: "keys",
            title: "\(nodes) nodes, \(min(providers, nodes)) of which provide keys",
            columns: [
                "keys a provider", "first time: messages/provider", "again: messages/provider", "again: messages/key",
                "one lookup a key: messages/provider", "sweep / one lookup", "found", "latency p99 ms",
                "records/node p50", "records/node max",
            ]
        )
        var (swept, single) = (Plot.Series("sweep", []), Plot.Series("one lookup a key", []))
        for count in keysPerNode {
            let network = formedNetwork(nodes, progress: progress)
            let interval = settings.kademlia.reprovideInterval
            let idle = network.traffic(for: interval)
            network.report("measured the upkeep without keys", to: progress)
            let first = network.traffic(for: interval) { $0.provide(keysPerNode: count, providers: providers) }
            network.report("advertised \(count) keys of each provider", to: progress)
            let again = network.traffic(for: interval)
            network.report("advertised them again", to: progress)

            let found = network.figures(ofLookups: lookups, unknown: false)
            // A lookup for a key that nobody provides goes to the end, as that for the holders of a key does.
            let full = network.figures(ofLookups: lookups, unknown: true)
            let providing = Double(min(providers, nodes))
            let firstCost = Double(first.messages - idle.messages) / providing
            let againCost = Double(again.messages - idle.messages) / providing
            let replication = Double(min(settings.kademlia.routingTable.bucketSize, nodes - 1))
            let singleCost = Double(count) * ((full.messages.mean ?? 0) + replication)
            let records = network.recordsHeld
            report.rows.append([
                .count(count), .number(firstCost, decimals: 0), .number(againCost, decimals: 0),
                .number(againCost / Double(count), decimals: 2), .number(singleCost, decimals: 0),
                .text("1/" + decimal(singleCost / max(againCost, 1), 0)), .share(found.successRate, decimals: 2),
                .number(found.latency.percentile(0.99), decimals: 1),
                .number(records.percentile(0.5), decimals: 0), .number(records.maximum, decimals: 0),
            ])
            swept.points.append((Double(count), againCost))
            single.points.append((Double(count), singleCost))
        }
        report.plots = [
            Plot(
                title: "Providing all keys once",
                x: .init("keys of a node", .logarithmic),
                y: .init("messages", .logarithmic),
                series: [swept, single]
            )
        ]
        return report
    }
}

extension SimulatedNetwork {
    /// Makes lookups within a minute, and gives their figures.
    ///
    /// - Parameter unknown: whether they are for keys that nobody provides.
    func figures(ofLookups count: Int, unknown: Bool, wanted: Int? = nil) -> LookupFigures {
        let first = probeCount
        let rate = Double(count) / 60
        if unknown {
            probeUnknown(perSecond: rate, for: .seconds(60))
        } else {
            probe(perSecond: rate, for: .seconds(60), wanted: wanted)
        }
        run(for: .seconds(15))
        return lookupFigures(first..<probeCount)
    }
}
