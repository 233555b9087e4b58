/// Numbers that were measured, and what they say together.
public struct Distribution: Sendable {
    private var values: [Double] = []

    /// Nothing measured yet.
    public init() {}

    /// The given numbers.
    public init(_ values: some Sequence<Double>) {
        self.values = Array(values)
    }

    /// Takes in one more number.
    public mutating func add(_ value: Double) {
        values.append(value)
    }

    /// How many numbers there are.
    public var count: Int { values.count }

    /// Their sum.
    public var sum: Double { values.reduce(0, +) }

    /// Their mean; nil if there are none.
    public var mean: Double? { values.isEmpty ? nil : sum / Double(values.count) }

    /// The largest; nil if there are none.
    public var maximum: Double? { values.max() }

    /// The smallest; nil if there are none.
    public var minimum: Double? { values.min() }

    /// The smallest number that is not less than the given share of all of them (nearest rank); nil if there are none.
    ///
    /// - Parameter share: from 0 to 1: 0.5 for the median, 0.99 for p99.
    public func percentile(_ share: Double) -> Double? {
        guard !values.isEmpty else { return nil }
        let rank = Int((share * Double(values.count)).rounded(.up))
        return values.sorted()[min(max(rank, 1), values.count) - 1]
    }
}
