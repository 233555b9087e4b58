internal import Kademlia
import Time

/// An experiment with a simulated network.
public protocol Scenario: Sendable {
    /// The settings of the network.
    var settings: SimulatedNetwork.Settings { get set }

    /// Runs the scenario.
    ///
    /// - Parameter progress: called with a short text after each step.
    func run(progress: (String) -> Void) -> Report
}

extension Scenario {
    /// A network of `count` nodes that had two minutes to find each other after the last one joined.
    func formedNetwork(_ count: Int, progress: (String) -> Void) -> SimulatedNetwork {
        let network = SimulatedNetwork(settings: settings)
        network.form(count)
        network.run(for: .seconds(120))
        network.report("formed \(count) nodes", to: progress)
        return network
    }
}

extension SimulatedNetwork {
    /// Reports a step with the virtual time and the number of events.
    func report(_ text: String, to progress: (String) -> Void) {
        let seconds = (now - .zero) / .seconds(1)
        progress("\(text); virtual time \(decimal(seconds, 0)) s, \(eventCount) events")
        if stalledTimers > 0 { progress("\(stalledTimers) times a node set its timer again at once") }
    }
}

extension LookupFigures {
    /// The column names for ``cells``.
    static let columns = [
        "lookups", "found", "hops p50", "hops p99", "messages p50", "messages p99", "latency p50 ms", "latency p99 ms",
    ]

    /// The figures as table cells.
    var cells: [Report.Cell] {
        [
            .count(count), .share(successRate, decimals: 2),
            .number(hops.percentile(0.5), decimals: 0), .number(hops.percentile(0.99), decimals: 0),
            .number(messages.percentile(0.5), decimals: 0), .number(messages.percentile(0.99), decimals: 0),
            .number(latency.percentile(0.5), decimals: 1), .number(latency.percentile(0.99), decimals: 1),
        ]
    }
}
