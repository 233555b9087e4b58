internal import Kademlia

/// Lookups of honest nodes while others attack.
public struct MaliciousScenario: Scenario {
    /// The settings of the networks.
    public var settings: SimulatedNetwork.Settings
    /// The size of the network.
    public var nodes = 1000
    /// The share of attackers.
    public var share = 0.3
    /// The keys that each honest node provides.
    public var keysPerNode = 3
    /// Lookups for each attack and number of providers.
    public var lookups = 2000

    /// Creates a scenario with the default numbers.
    public init(settings: SimulatedNetwork.Settings = SimulatedNetwork.Settings()) {
        self.settings = settings
    }

    /// The attacks: each alone, and all together.
    static let attacks: [(name: String, behaviours: [Behaviour])] =
        [("none", [])] + Behaviour.attacks.map { ($0.rawValue, [$0]) } + [("all three", Behaviour.attacks)]

    /// Runs the scenario.
    public func run(progress: (String) -> Void) -> Report {
        var report = Report(
            name: "malicious",
            title: "\(nodes) nodes, of which \(decimal(100 * share, 0)) % attack",
            columns: ["attack", "requested"] + LookupFigures.columns + ["false providers/lookup", "closest known"]
        )
        var series = [Plot.Series("3 requested", []), Plot.Series("20 requested", [])]
        var latency = Plot.Series("3 requested", [])
        for (index, attack) in Self.attacks.enumerated() {
            let network = formedNetwork(nodes, progress: progress)
            if !attack.behaviours.isEmpty { network.corrupt(share: share, attack.behaviours) }
            network.provide(keysPerNode: keysPerNode)
            network.run(for: .seconds(300))
            network.report("attack: \(attack.name)", to: progress)
            for (place, requested) in [3, 20].enumerated() {
                let figures = network.figures(ofLookups: lookups, unknown: false, requested: requested)
                report.rows.append(
                    [.text(attack.name), .count(requested)] + figures.cells + [
                        .number(figures.falseProviders.mean, decimals: 2),
                        .share(network.tableQuality().closestKnown, decimals: 1),
                    ]
                )
                series[place].points.append((Double(index), 100 * figures.successRate))
                if place == 0 { latency.points.append((Double(index), figures.latency.percentile(0.99) ?? 0)) }
            }
        }
        let attacks = Plot.Axis("what the attackers do", .categories(Self.attacks.map(\.name)))
        report.plots = [
            Plot(
                title: "Lookups that found a provider",
                x: attacks,
                y: .init("found, %", range: 0...100),
                series: series
            ),
            Plot(title: "Time to the first provider, p99", x: attacks, y: .init("ms (virtual)"), series: [latency]),
        ]
        return report
    }
}
