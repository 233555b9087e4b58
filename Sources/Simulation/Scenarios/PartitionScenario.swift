internal import Kademlia

/// Lookups while the network is cut in two, and after it is healed.
public struct PartitionScenario: Scenario {
    /// The settings of the network.
    public var settings: SimulatedNetwork.Settings
    /// The size of the network.
    public var nodes = 1000
    /// The share of nodes on one side.
    public var share = 0.5
    /// The duration of the cut in minutes.
    public var minutes = 5
    /// The keys that each node provides.
    public var keysPerNode = 3
    /// Lookups in half a minute, for keys of each side.
    public var lookups = 200

    /// Creates a scenario with the default numbers.
    public init(settings: SimulatedNetwork.Settings = SimulatedNetwork.Settings()) {
        self.settings = settings
    }

    /// Runs the scenario.
    public func run(progress: (String) -> Void) -> Report {
        var report = Report(
            name: "partition",
            title: "\(nodes) nodes cut in two for \(minutes) min, \(keysPerNode) keys a node",
            columns: ["when", "keys of"] + LookupFigures.columns
        )
        let network = formedNetwork(nodes, progress: progress)
        network.provide(keysPerNode: keysPerNode)
        network.run(for: .seconds(120))
        network.report("advertised the keys", to: progress)
        network.divide(share: share)
        var (own, other) = (Plot.Series("keys of the own side", []), Plot.Series("keys of the other side", []))

        var pending: [(name: String, isOther: Bool, minute: Double, range: Range<Int>)] = []
        func measure(_ name: String, at minute: Double) {
            for isOther in [false, true] {
                let first = network.probeCount
                network.probe(perSecond: Double(lookups) / 15, for: .seconds(15)) { provider, seeker in
                    (provider.side != seeker.side) == isOther
                }
                pending.append((name, isOther, minute, first..<network.probeCount))
            }
        }
        measure("before", at: -0.5)
        network.cut()
        let refresh = settings.kademlia.routingTable.refreshInterval
        for step in 0..<(2 * minutes) {
            measure("cut, min \(decimal(Double(step) / 2, 1))", at: Double(step) / 2)
        }
        network.report("was cut for \(minutes) min", to: progress)
        network.heal()
        for step in 0..<Int(refresh / .seconds(30)) {
            let minute = Double(step) / 2
            measure("whole again, min \(decimal(minute, 1))", at: Double(minutes) + minute)
        }
        network.report("was whole again for one refresh", to: progress)
        let first = network.probeCount
        network.probeEveryKey(within: .seconds(60))
        network.run(for: .seconds(15))
        let everything = network.lookupFigures(first..<network.probeCount)
        network.report("sought every key from the other side", to: progress)

        for entry in pending {
            let figures = network.lookupFigures(entry.range)
            report.rows.append([.text(entry.name), .text(entry.isOther ? "other side" : "own side")] + figures.cells)
            let point = (x: entry.minute, y: 100 * figures.successRate)
            if entry.isOther { other.points.append(point) } else { own.points.append(point) }
        }
        report.rows.append([.text("every key, after one refresh"), .text("other side")] + everything.cells)
        report.plots = [
            Plot(
                title: "Cut at 0, whole again at \(minutes) min",
                x: .init("minutes since the cut"),
                y: .init("found, %", range: 0...100),
                series: [own, other]
            )
        ]
        return report
    }
}
