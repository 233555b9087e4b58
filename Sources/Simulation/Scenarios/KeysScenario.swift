internal import Kademlia

/// The cost of advertising as nodes hold more content, compared with one lookup for each key.
public struct KeysScenario: Scenario {
    /// The settings of the networks.
    public var settings: SimulatedNetwork.Settings
    /// The size of the network.
    public var nodes = 1000
    /// The number of keys of each provider.
    public var keysPerNode = [100, 1000, 10_000]
    /// The number of providers. The records of all nodes need not fit in the memory of one machine.
    public var providers = 20
    /// Lookups of provided keys, and as many of missing keys.
    public var lookups = 1000

    /// Creates a scenario with the default numbers.
    public init(settings: SimulatedNetwork.Settings = SimulatedNetwork.Settings()) {
        self.settings = settings
    }

    /// Runs the scenario.
    public func run(progress: (String) -> Void) -> Report {
        var report = Report(
            name: "keys",
            title: "\(nodes) nodes, \(min(providers, nodes)) of which provide keys; messages of one of these",
            columns: [
                "keys a provider", "first time", "again", "again: lookups", "again: updates",
                "one lookup a key", "sweep / one lookup", "found", "latency p99 ms",
                "records/node p50", "records/node max",
            ]
        )
        var (swept, single) = (Plot.Series("sweep", []), Plot.Series("one lookup a key", []))
        for count in keysPerNode {
            let network = formedNetwork(nodes, progress: progress)
            let start = network.advertisingCounts
            network.provide(keysPerNode: count, providers: providers)
            network.run(for: .seconds(60))
            let first = network.advertisingCounts
            network.report("advertised \(count) keys of each provider", to: progress)
            network.run(for: settings.kademlia.reprovideInterval)
            let again = network.advertisingCounts
            network.report("advertised them again", to: progress)

            let found = network.figures(ofLookups: lookups, unknown: false)
            // A lookup of a missing key runs to its end, like one for the holders of a key.
            let full = network.figures(ofLookups: lookups, unknown: true).messages.mean ?? 0
            let providing = Double(min(providers, nodes))
            func cost(_ before: AdvertisingCounts, _ after: AdvertisingCounts) -> Double {
                (Double(after.lookups - before.lookups) * full + Double(after.updates - before.updates)) / providing
            }
            let againCost = cost(first, again)
            let replication = Double(min(settings.kademlia.routingTable.bucketSize, nodes - 1))
            let singleCost = Double(count) * (full + replication)
            let records = network.recordsHeld
            report.rows.append([
                .count(count), .number(cost(start, first), decimals: 0), .number(againCost, decimals: 0),
                .number(Double(again.lookups - first.lookups) / providing, decimals: 1),
                .number(Double(again.updates - first.updates) / providing, decimals: 0),
                .number(singleCost, decimals: 0),
                .text("1/" + decimal(singleCost / max(againCost, 1), 1)), .share(found.successRate, decimals: 2),
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

/// The work of nodes to advertise their keys since their start.
struct AdvertisingCounts {
    /// Lookups for regions of the key space.
    var lookups = 0
    /// Messages with records.
    var updates = 0
}

extension SimulatedNetwork {
    /// The sums over the nodes that are up.
    var advertisingCounts: AdvertisingCounts {
        var counts = AdvertisingCounts()
        for node in up {
            let statistics = nodes[Int(node)].machine.statistics
            counts.lookups += statistics.regionLookups
            counts.updates += statistics.updatesSent
        }
        return counts
    }

    /// Runs lookups within a minute and returns their figures.
    ///
    /// - Parameter unknown: whether the keys are missing.
    func figures(ofLookups count: Int, unknown: Bool, requested: Int? = nil) -> LookupFigures {
        let first = probeCount
        let rate = Double(count) / 60
        if unknown {
            probeUnknown(perSecond: rate, for: .seconds(60))
        } else {
            probe(perSecond: rate, for: .seconds(60), requested: requested)
        }
        run(for: .seconds(15))
        return lookupFigures(first..<probeCount)
    }
}
