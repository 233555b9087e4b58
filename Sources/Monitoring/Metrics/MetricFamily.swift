/// A metric as it is announced: its name, its kind, what it means, and how its samples are told apart.
///
/// Names, units and suffixes follow Prometheus' conventions for metric and label names.
public struct MetricFamily: Sendable {
    /// What kind of number it is.
    public enum Kind: Hashable, Sendable {
        /// Grows for as long as the process lives.
        case counter
        /// Goes up and down.
        case gauge
        /// Counts observations by size, in buckets with these upper bounds, which ascend. The bucket without a bound is
        /// added to them.
        case histogram(buckets: [Double])

        var name: String {
            switch self {
            case .counter: "counter"
            case .gauge: "gauge"
            case .histogram: "histogram"
            }
        }
    }

    /// A label and the values that it may have.
    public struct Label: Sendable {
        /// The name of the label.
        public var name: String
        /// All values that it may have; `nil` leaves that to whoever counts, within ``MetricFamily/maximumSeries``.
        public var values: Set<String>?

        /// A label with these values; any other is counted as `other`.
        public static func fixed(_ name: String, _ values: Set<String>) -> Label {
            Label(name: name, values: values)
        }

        /// A label whose values whoever counts keeps few.
        public static func open(_ name: String) -> Label {
            Label(name: name, values: nil)
        }
    }

    /// What stands for every value that has no place of its own.
    public static let other = "other"
    /// The most samples of one family that differ in their labels; what comes after is counted as ``other``.
    public static let maximumSeries = 1024

    /// The name, with its unit and, for a counter, `_total`.
    public var name: String
    /// What kind of number it is.
    public var kind: Kind
    /// What it means, in a sentence.
    public var help: String
    /// The labels in the order in which they are written.
    public var labels: [Label]

    /// Announces a metric.
    public init(_ name: String, _ kind: Kind, _ help: String, labels: [Label] = []) {
        self.name = name
        self.kind = kind
        self.help = help
        self.labels = labels
    }

    /// The values of the labels, in order, for what somebody has measured; bounded, whatever that is.
    func labelValues(_ dimensions: [(String, String)]) -> [String] {
        labels.map { label in
            guard let value = dimensions.first(where: { $0.0 == label.name })?.1 else { return Self.other }
            guard let values = label.values else { return value }
            return values.contains(value) ? value : Self.other
        }
    }

    /// The values under which everything is counted that finds no room.
    var overflowValues: [String] { labels.map { _ in Self.other } }
}
