internal import Kademlia

/// The cost of lookups and upkeep in networks of different sizes without faults.
public struct SizeScenario: Scenario {
    /// The settings of the networks.
    public var settings: SimulatedNetwork.Settings
    /// The sizes, in nodes.
    public var sizes = [10, 100, 1000, 10_000]
    /// The keys that each node provides.
    public var keysPerNode = 10
    /// Lookups at each size.
    public var lookups = 5000
    /// The duration of measuring the upkeep: one round of refreshing and reproviding.
    public var upkeep: Duration = .seconds(600)

    /// Creates a scenario with the default numbers.
    public init(settings: SimulatedNetwork.Settings = SimulatedNetwork.Settings()) {
        self.settings = settings
    }

    /// Runs the scenario.
    public func run(progress: (String) -> Void) -> Report {
        var report = Report(
            name: "size",
            title: "Networks of different sizes, \(keysPerNode) keys a node, nothing goes wrong",
            columns: ["nodes"] + LookupFigures.columns + [
                "hops max", "messages/node/min", "kB/node/min", "records/node p50", "records/node max",
                "closest known", "bucket fill", "connections p50", "connections max",
            ]
        )
        var (p50, p99) = (Plot.Series("p50", []), Plot.Series("p99", []))
        var (hops50, hops99) = (Plot.Series("p50", []), Plot.Series("p99", []))
        var upkeepMessages = Plot.Series("upkeep", [])
        for size in sizes {
            let network = formedNetwork(size, progress: progress)
            network.provide(keysPerNode: keysPerNode)
            network.run(for: .seconds(120))
            network.report("advertised \(size * keysPerNode) keys", to: progress)
            let traffic = network.traffic(for: upkeep)
            network.report("measured the upkeep", to: progress)
            network.probe(perSecond: Double(lookups) / 60, for: .seconds(60))
            network.run(for: .seconds(15))
            network.report("made the lookups", to: progress)

            let figures = network.lookupFigures()
            let quality = network.tableQuality()
            let (records, connections) = (network.recordsHeld, network.connectionCounts)
            report.rows.append(
                [.count(size)] + figures.cells + [
                    .number(figures.hops.maximum, decimals: 0),
                    .number(traffic.messagesPerNodeMinute, decimals: 1),
                    .number(traffic.kilobytesPerNodeMinute, decimals: 1),
                    .number(records.percentile(0.5), decimals: 0), .number(records.maximum, decimals: 0),
                    .share(quality.closestKnown, decimals: 2), .share(quality.bucketFill, decimals: 1),
                    .number(connections.percentile(0.5), decimals: 0), .number(connections.maximum, decimals: 0),
                ]
            )
            let x = Double(size)
            p50.points.append((x, figures.latency.percentile(0.5) ?? 0))
            p99.points.append((x, figures.latency.percentile(0.99) ?? 0))
            hops50.points.append((x, figures.hops.percentile(0.5) ?? 0))
            hops99.points.append((x, figures.hops.percentile(0.99) ?? 0))
            upkeepMessages.points.append((x, traffic.messagesPerNodeMinute))
        }
        let nodes = Plot.Axis("nodes", .logarithmic)
        report.plots = [
            Plot(title: "Hops of a lookup", x: nodes, y: .init("sequential hops"), series: [hops50, hops99]),
            Plot(title: "Time to the first provider", x: nodes, y: .init("ms (virtual)"), series: [p50, p99]),
            Plot(title: "Upkeep", x: nodes, y: .init("messages a node and minute"), series: [upkeepMessages]),
        ]
        return report
    }
}
