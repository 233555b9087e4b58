/// A metric: its name, its kind, its meaning, and the labels of its samples.
///
/// Names, units and suffixes follow Prometheus' conventions for metric and label names.
public struct MetricFamily: Sendable {
    /// What kind of number it is.
    public enum Kind: Hashable, Sendable {
        /// Grows until the process ends.
        case counter
        /// Goes up and down.
        case gauge
        /// Counts observations by size, in buckets with these ascending upper bounds and a last one without a bound.
        case histogram(buckets: [Double])

        /// The name of the kind in Prometheus' text format.
        public var name: String {
            switch self {
            case .counter: "counter"
            case .gauge: "gauge"
            case .histogram: "histogram"
            }
        }
    }

    /// A label, with the values that it may have.
    public struct Label: Sendable {
        /// The name of the label.
        public var name: String
        /// All values that it may have; `nil` for any, within ``MetricFamily/maximumSeries``.
        public var values: [String]?

        /// A label with these values; any other is counted as `other`.
        public static func fixed(_ name: String, _ values: [String]) -> Label {
            Label(name: name, values: values)
        }

        /// A label whose values the counting code keeps few.
        public static func open(_ name: String) -> Label {
            Label(name: name, values: nil)
        }
    }

    /// The value that stands for all values beyond those allowed.
    public static let other = "other"
    /// The maximum number of samples of one family that differ in their labels; further ones count as ``other``.
    public static let maximumSeries = 1024

    /// The name, with its unit and, for a counter, `_total`.
    public var name: String
    /// What kind of number it is.
    public var kind: Kind
    /// What it means, in a sentence or two.
    public var help: String
    /// The labels in the order in which they are written.
    public var labels: [Label]

    /// A metric without samples.
    public init(_ name: String, _ kind: Kind, _ help: String, labels: [Label] = []) {
        self.name = name
        self.kind = kind
        self.help = help
        self.labels = labels
    }

    /// The values of the labels, in order, for measured dimensions; bounded, whatever these are.
    func labelValues(_ dimensions: [(String, String)]) -> [String] {
        labels.map { label in
            guard let value = dimensions.first(where: { $0.0 == label.name })?.1 else { return Self.other }
            guard let values = label.values else { return value }
            return values.contains(value) ? value : Self.other
        }
    }

    /// The label values of the sample that counts everything beyond ``maximumSeries``.
    var overflowValues: [String] { labels.map { _ in Self.other } }
}
