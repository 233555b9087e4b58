/// A page in Prometheus' text format, version 0.0.4.
struct PrometheusPage {
    /// The value of a sample: one line, or several of a histogram.
    enum Value {
        case number(Double)
        case histogram(bounds: [Double], HistogramSeries.Snapshot)

        init(_ series: MetricSeries) {
            switch series {
            case .counter(let series): self = .number(Double(series.value))
            case .gauge(let series): self = .number(series.value)
            case .histogram(let series): self = .histogram(bounds: series.bounds, series.snapshot)
            }
        }
    }

    private(set) var text = ""

    /// Adds a family with its samples in the order of their labels. A family without samples is left out.
    mutating func add(_ family: MetricFamily, _ samples: [(labels: [String], value: Value)]) {
        guard !samples.isEmpty else { return }
        text += "# HELP \(family.name) \(Self.escapedHelp(family.help))\n# TYPE \(family.name) \(family.kind.name)\n"
        for sample in samples.sorted(by: { $0.labels.lexicographicallyPrecedes($1.labels) }) {
            let labels = zip(family.labels, sample.labels).map { "\($0.name)=\"\(Self.escaped($1))\"" }
            switch sample.value {
            case .number(let value): line(family.name, labels, Self.text(of: value))
            case .histogram(let bounds, let snapshot): add(family.name, labels, bounds, snapshot)
            }
        }
    }

    /// Adds a histogram. Buckets are cumulative: each counts the values up to its bound.
    private mutating func add(
        _ name: String,
        _ labels: [String],
        _ bounds: [Double],
        _ snapshot: HistogramSeries.Snapshot
    ) {
        var total = 0
        for (bound, count) in zip(bounds + [.infinity], snapshot.counts) {
            total += count
            line(name + "_bucket", labels + ["le=\"\(Self.text(of: bound))\""], String(total))
        }
        line(name + "_sum", labels, Self.text(of: snapshot.sum))
        line(name + "_count", labels, String(total))
    }

    private mutating func line(_ name: String, _ labels: [String], _ value: String) {
        text += name
        if !labels.isEmpty { text += "{" + labels.joined(separator: ",") + "}" }
        text += " " + value + "\n"
    }

    /// A number in Prometheus' format; whole numbers without a fraction.
    static func text(of value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return Int64(exactly: value).map { String($0) } ?? String(value)
    }

    private static func escaped(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 == 0x22 || $0 == 0x5C || $0 == 0x0A }) else { return text }
        return escapedHelp(text).replacing("\"", with: "\\\"")
    }

    private static func escapedHelp(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
    }
}
