internal import Kademlia
import Time

/// A question about the network, answered by running it.
public protocol Scenario: Sendable {
    /// What the network is made of.
    var settings: SimulatedNetwork.Settings { get set }

    /// Runs it.
    ///
    /// - Parameter progress: is told, in a few words, what has been done.
    func run(progress: (String) -> Void) -> Report
}

extension Scenario {
    /// A network of so many nodes that have had two minutes to find each other after the last one came.
    func formedNetwork(_ count: Int, progress: (String) -> Void) -> SimulatedNetwork {
        let network = SimulatedNetwork(settings: settings)
        network.form(count)
        network.run(for: .seconds(120))
        network.report("formed \(count) nodes", to: progress)
        return network
    }
}

extension SimulatedNetwork {
    /// Says what was done, at what virtual time and after how many events.
    func report(_ text: String, to progress: (String) -> Void) {
        let seconds = (now - .zero) / .seconds(1)
        progress("\(text); virtual time \(decimal(seconds, 0)) s, \(eventCount) events")
        if stalledTimers > 0 { progress("\(stalledTimers) times a node wanted its timer again at once") }
    }
}

extension LookupFigures {
    /// Column names that go with ``cells``.
    static let columns = [
        "lookups", "found", "hops p50", "hops p99", "messages p50", "messages p99", "latency p50 ms", "latency p99 ms",
    ]

    /// The figures as they stand in a table.
    var cells: [Report.Cell] {
        [
            .count(count), .share(successRate, decimals: 2),
            .number(hops.percentile(0.5), decimals: 0), .number(hops.percentile(0.99), decimals: 0),
            .number(messages.percentile(0.5), decimals: 0), .number(messages.percentile(0.99), decimals: 0),
            .number(latency.percentile(0.5), decimals: 1), .number(latency.percentile(0.99), decimals: 1),
        ]
    }
}
