/// The rate at which this node usually receives bodies from peers, all of them together, in bytes per second: a mean that
/// follows what is seen.
package struct UsualRate: Sendable {
    /// The rate before any was seen: that of a link of 32 Mbit/s.
    package static let initial = 4.0 * 1024 * 1024

    private var mean: Double?

    package init() {}

    /// Takes in the rate of one body.
    ///
    /// - Parameter bodies: how many came at that time. Each has a share of the link, so the mean of their rates, times their
    ///   number, is the rate of the link.
    package mutating func add(_ rate: Double, bodies: Int) {
        guard rate.isFinite, rate >= 0 else { return }
        let sample = rate * Double(max(1, bodies))
        mean = mean.map { $0 + (sample - $0) / 8 } ?? sample
    }

    /// The share of one body of several.
    package func share(bodies: Int) -> Double { (mean ?? Self.initial) / Double(max(1, bodies)) }
}
