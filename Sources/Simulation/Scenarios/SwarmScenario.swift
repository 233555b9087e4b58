internal import Kademlia
internal import Swarm

/// Crowds that pull the same content: how long that takes beside one copy, with the policy of the nodes and beside others.
public struct SwarmScenario: Scenario {
    /// Which cases to run.
    public enum Cases: String, Sendable, CaseIterable {
        /// Crowds of growing size, beside a star, a chain and a tree.
        case sizes
        /// Links that differ, nodes that vanish, content that no node has.
        case faults
    }

    /// The settings of the network: the seed, the latency and the loss.
    public var settings: SimulatedNetwork.Settings
    /// The cases.
    public var cases = Cases.sizes
    /// The sizes of the crowds.
    public var sizes = [10, 50, 200, 1000]
    /// The crowd of the cases with faults.
    public var nodes = 50
    /// The bytes that a source must have got before it hands on the first of them.
    public var hop: Int64 = 256 << 10

    /// Creates a scenario with the default numbers.
    public init(settings: SimulatedNetwork.Settings = SimulatedNetwork.Settings()) {
        self.settings = settings
    }

    private static let columns = [
        "case", "nodes", "policy", "makespan", "median", "p95 own floor", "not slow, max own floor", "unfinished",
        "upstream copies", "messages mean", "messages max", "longest gap s",
    ]

    /// Runs the scenario.
    public func run(progress: (String) -> Void) -> Report {
        switch cases {
        case .sizes: runSizes(progress: progress)
        case .faults: runFaults(progress: progress)
        }
    }

    private var base: SwarmSettings {
        var base = SwarmSettings()
        base.relayHop = hop
        base.policy.hop = hop
        return base
    }

    private func runSizes(progress: (String) -> Void) -> Report {
        var report = Report(
            name: "swarm",
            title: "Crowds that pull 100 MB from one holder, in units of one copy",
            columns: Self.columns
        )
        let policies: [(name: String, policy: CrowdPolicy, limit: Int)] = [
            ("swarm", base.policy, .max), ("star", Self.policy(.star, hop), 50),
            ("chain", Self.policy(.fixed(1), hop), 200),
            ("tree", Self.policy(.fixed(2), hop), 1000),
        ]
        var plots: [Plot] = []
        for (title, ratio) in [("Uplink as fast as downlink", 1.0), ("Uplink four times the downlink", 4)] {
            var series: [Plot.Series] = []
            for (name, policy, limit) in policies {
                var points: [(x: Double, y: Double)] = []
                for size in sizes where size <= limit {
                    var crowd = base
                    (crowd.nodes, crowd.uplinkRatio, crowd.policy) = (size, ratio, policy)
                    let figures = add(title, name, crowd, to: &report, progress)
                    points.append((Double(size), figures.times.maximum ?? 0))
                }
                series.append(Plot.Series(name, points))
            }
            plots.append(
                Plot(
                    title: title,
                    x: .init("nodes", .logarithmic),
                    y: .init("time of the last, in copies", .logarithmic),
                    series: series
                )
            )
        }
        report.plots = plots
        return report
    }

    private func runFaults(progress: (String) -> Void) -> Report {
        var report = Report(
            name: "swarm-faults",
            title: "Crowds that pull 100 MB when links differ and nodes vanish",
            columns: Self.columns
        )
        let cases: [(String, (inout SwarmSettings) -> Void)] = [
            ("one holder", { _ in }),
            ("links of 50 to 150 %", { $0.spread = 0.5 }),
            ("a tenth is ten times slower", { $0.stragglers = 0.1 }),
            ("10 % vanish a minute", { $0.vanishing = 0.1 }),
            ("holder vanishes", { $0.sourceDies = 2 }),
            ("coordinator vanishes", { $0.coordinatorDies = 2 }),
            ("no holder", { $0.holders = 0 }),
            ("no holder, 10 % vanish a minute", { ($0.holders, $0.vanishing) = (0, 0.1) }),
            ("no holder, leader vanishes", { ($0.holders, $0.sourceDies) = (0, 2) }),
            ("no holder, first leader refused", { ($0.holders, $0.refusesFirst) = (0, true) }),
            ("three layers of 33 MB", { $0.layers = Array(repeating: 33_000_000, count: 3) }),
            ("ten layers of 10 MB", { $0.layers = Array(repeating: 10_000_000, count: 10) }),
            ("three zones", { $0.zones = 3 }),
        ]
        let policies: [(name: String, policy: CrowdPolicy)] = [
            ("swarm", base.policy), ("chain", Self.policy(.fixed(1), hop)), ("tree", Self.policy(.fixed(2), hop)),
        ]
        var series = policies.map { Plot.Series($0.name, []) }
        for (place, one) in cases.enumerated() {
            for (index, policy) in policies.enumerated() {
                var crowd = base
                crowd.nodes = nodes
                crowd.policy = policy.policy
                one.1(&crowd)
                let figures = add(one.0, policy.name, crowd, to: &report, progress)
                series[index].points.append((Double(place), figures.times.percentile(0.5) ?? 0))
            }
        }
        report.plots = [
            Plot(
                title: "Median time of \(nodes) nodes",
                x: .init("case, in the order of the table", .categories(cases.indices.map { String($0 + 1) })),
                y: .init("copies"),
                series: series
            )
        ]
        return report
    }

    private static func policy(_ places: CrowdPolicy.Places, _ hop: Int64) -> CrowdPolicy {
        var policy = CrowdPolicy()
        (policy.places, policy.overtakes, policy.hop) = (places, false, hop)
        return policy
    }

    private func add(
        _ name: String,
        _ policy: String,
        _ crowd: SwarmSettings,
        to report: inout Report,
        _ progress: (String) -> Void
    ) -> SwarmFigures {
        let figures = SwarmSimulation(settings: crowd, network: settings).run()
        let seconds = decimal(figures.coordinatorSeconds, 2)
        progress(
            "\(name), \(crowd.nodes) nodes, \(policy): coordinators took \(seconds) s of the processor, "
                + "the busiest handled \(figures.coordinatorMessages) messages"
        )
        report.rows.append([
            .text(name), .count(crowd.nodes), .text(policy), .number(figures.times.maximum, decimals: 2),
            .number(figures.times.percentile(0.5), decimals: 2),
            .number(figures.ownTimes.percentile(0.95), decimals: 2), .number(figures.fastTimes.maximum, decimals: 2),
            .count(figures.unfinished), .number(figures.upstreamCopies, decimals: 2),
            .number(figures.messages.mean, decimals: 1), .number(figures.messages.maximum, decimals: 0),
            .number(figures.longestGap, decimals: 1),
        ])
        return figures
    }
}
