/// A set of measured numbers with their statistics.
public struct Distribution: Sendable {
    private var values: [Double] = []

    /// An empty set.
    public init() {}

    /// A set of numbers.
    public init(_ values: some Sequence<Double>) {
        self.values = Array(values)
    }

    /// Adds a number.
    public mutating func add(_ value: Double) {
        values.append(value)
    }

    /// The number of numbers.
    public var count: Int { values.count }

    /// The sum.
    public var sum: Double { values.reduce(0, +) }

    /// The mean; `nil` for an empty set.
    public var mean: Double? { values.isEmpty ? nil : sum / Double(values.count) }

    /// The maximum; `nil` for an empty set.
    public var maximum: Double? { values.max() }

    /// The minimum; `nil` for an empty set.
    public var minimum: Double? { values.min() }

    /// The percentile by the nearest rank; `nil` for an empty set.
    ///
    /// - Parameter share: from 0 to 1: 0.5 for the median, 0.99 for p99.
    public func percentile(_ share: Double) -> Double? {
        guard !values.isEmpty else { return nil }
        let rank = Int((share * Double(values.count)).rounded(.up))
        return values.sorted()[min(max(rank, 1), values.count) - 1]
    }
}
