internal import Kademlia

/// Lookups while nodes leave and join.
public struct ChurnScenario: Scenario {
    /// The settings of the networks.
    public var settings: SimulatedNetwork.Settings
    /// The size of the network, which is constant.
    public var nodes = 1000
    /// The shares of nodes that are replaced per minute.
    public var shares = [0, 0.01, 0.1]
    /// The way in which nodes leave.
    public var departure = SimulatedNetwork.Departure.vanishing
    /// The keys that each node provides.
    public var keysPerNode = 3
    /// The duration of the churn in minutes.
    public var minutes = 15
    /// The lookups per minute.
    public var lookupsPerMinute = 500

    /// Creates a scenario with the default numbers.
    public init(settings: SimulatedNetwork.Settings = SimulatedNetwork.Settings()) {
        self.settings = settings
    }

    /// Runs the scenario.
    public func run(progress: (String) -> Void) -> Report {
        var report = Report(
            name: "churn",
            title: "\(nodes) nodes, \(keysPerNode) keys a node, \(minutes) min of nodes coming and going",
            columns: ["replaced/min"] + LookupFigures.columns + [
                "messages/node/min", "kB/node/min", "records/node p50", "closest known", "bucket fill", "dead entries",
            ]
        )
        var (found, latency): ([Plot.Series], [Plot.Series]) = ([], [])
        for share in shares {
            let network = formedNetwork(nodes, progress: progress)
            network.provide(keysPerNode: keysPerNode)
            network.run(for: .seconds(120))
            network.report("advertised the keys", to: progress)
            network.churn(share: share, keysPerNode: keysPerNode, departure)
            let name = decimal(100 * share, share * 100 < 1 && share > 0 ? 1 : 0) + " % a minute"
            var (foundByMinute, latencyByMinute) = (Plot.Series(name, []), Plot.Series(name, []))
            let traffic = network.traffic(for: .seconds(60 * minutes)) { network in
                for minute in 1...max(1, minutes) {
                    let first = network.probeCount
                    network.probe(perSecond: Double(lookupsPerMinute) / 60, for: .seconds(60))
                    let figures = network.lookupFigures(first..<network.probeCount)
                    foundByMinute.points.append((Double(minute), 100 * figures.successRate))
                    latencyByMinute.points.append((Double(minute), figures.latency.percentile(0.99) ?? 0))
                    if minute % 5 == 0 { network.report("\(name): minute \(minute)", to: progress) }
                }
            }
            let quality = network.tableQuality()
            network.run(for: .seconds(15))
            let records = network.recordsHeld
            report.rows.append(
                [.share(share, decimals: 1)] + network.lookupFigures().cells + [
                    .number(traffic.messagesPerNodeMinute, decimals: 1),
                    .number(traffic.kilobytesPerNodeMinute, decimals: 1),
                    .number(records.percentile(0.5), decimals: 0),
                    .share(quality.closestKnown, decimals: 1), .share(quality.bucketFill, decimals: 1),
                    .share(quality.dead, decimals: 1),
                ]
            )
            found.append(foundByMinute)
            latency.append(latencyByMinute)
        }
        let least = found.flatMap { $0.points.map(\.y) }.min() ?? 100
        report.plots = [
            Plot(
                title: "Lookups that found a provider",
                x: .init("minutes since nodes began to come and go"),
                y: .init("found, %", range: (least >= 99 ? 99 : 0)...100),
                series: found
            ),
            Plot(
                title: "Time to the first provider, p99",
                x: .init("minutes since nodes began to come and go"),
                y: .init("ms (virtual)"),
                series: latency
            ),
        ]
        return report
    }
}
