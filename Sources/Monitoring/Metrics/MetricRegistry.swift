import CoreMetrics
import Synchronization

/// The metrics of the process: a factory for swift-metrics with a page in Prometheus' text format.
///
/// It counts only the families of its initialiser, so that the page has exactly the metrics of the documentation. Numbers
/// that other parts keep anyway are collected for each page, see ``collect(_:)``.
public final class MetricRegistry: Sendable {
    private final class Table: Sendable {
        let family: MetricFamily
        let series = Mutex<[[String]: MetricSeries]>([:])

        init(_ family: MetricFamily) {
            self.family = family
        }
    }

    private let tables: [Table]
    private let tablesByName: [String: Table]
    private let collectors = Mutex<[@Sendable (inout CollectedMetrics) -> Void]>([])

    /// A registry of some families. Of two with the same name it takes the first.
    public init(_ families: [MetricFamily]) {
        var byName: [String: Table] = [:]
        var tables: [Table] = []
        for family in families where byName[family.name] == nil {
            let table = Table(family)
            byName[family.name] = table
            tables.append(table)
        }
        self.tables = tables
        tablesByName = byName
    }

    /// Adds a function that sets metrics for each page. It must not block.
    public func collect(_ collector: @escaping @Sendable (inout CollectedMetrics) -> Void) {
        collectors.withLock { $0.append(collector) }
    }

    /// Adds a time to a histogram of seconds. For times that are rare: the series is looked up for each.
    public func record(_ time: Duration, in name: String, _ dimensions: [(String, String)]) {
        makeRecorder(label: name, dimensions: dimensions, aggregate: true).record(time / .seconds(1))
    }

    /// The page in Prometheus' text format, version 0.0.4.
    public var text: String {
        var collected = CollectedMetrics()
        for collector in collectors.withLock({ $0 }) { collector(&collected) }
        var page = PrometheusPage()
        for table in tables {
            let family = table.family
            var samples = table.series.withLock { $0.map { ($0.key, PrometheusPage.Value($0.value)) } }
            if case .histogram = family.kind {
            } else {
                samples += collected.samples(of: family).map { ($0.key, .number($0.value)) }
            }
            page.add(family, samples)
        }
        return page.text
    }

    /// The series of a family for some dimensions, created on first use; `nil` for an unknown family or another kind.
    private func series(
        _ name: String,
        _ dimensions: [(String, String)],
        _ isExpected: (MetricFamily.Kind) -> Bool
    ) -> MetricSeries? {
        guard let table = tablesByName[name], isExpected(table.family.kind) else { return nil }
        let values = table.family.labelValues(dimensions)
        return table.series.withLock { series in
            if let known = series[values] { return known }
            let isFull = series.count >= MetricFamily.maximumSeries
            let key = isFull ? table.family.overflowValues : values
            if let known = series[key] { return known }
            let new = MetricSeries(table.family.kind)
            series[key] = new
            return new
        }
    }
}

extension MetricRegistry: MetricsFactory {
    /// The handler of a counter, or for an unknown name one that does nothing.
    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        guard case .counter(let series) = series(label, dimensions, { $0 == .counter }) else {
            return NOOPMetricsHandler.instance
        }
        return series
    }

    /// The handler of a gauge, or for an unknown name one that does nothing.
    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        guard case .gauge(let series) = series(label, dimensions, { $0 == .gauge }) else {
            return NOOPMetricsHandler.instance
        }
        return series
    }

    /// The handler of a histogram or gauge, or for an unknown name one that does nothing.
    public func makeRecorder(
        label: String,
        dimensions: [(String, String)],
        aggregate: Bool
    ) -> any RecorderHandler {
        switch series(label, dimensions, { $0 != .counter }) {
        case .gauge(let series): series
        case .histogram(let series): series
        case .counter, nil: NOOPMetricsHandler.instance
        }
    }

    /// The handler of a histogram of seconds, or for an unknown name one that does nothing.
    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        guard case .histogram(let series) = series(label, dimensions, { $0 != .counter && $0 != .gauge }) else {
            return NOOPMetricsHandler.instance
        }
        return series
    }

    // A series stays on the page once it was there: Prometheus takes one that vanishes for a restart.

    /// Does nothing.
    public func destroyCounter(_ handler: any CounterHandler) {}
    /// Does nothing.
    public func destroyMeter(_ handler: any MeterHandler) {}
    /// Does nothing.
    public func destroyRecorder(_ handler: any RecorderHandler) {}
    /// Does nothing.
    public func destroyTimer(_ handler: any TimerHandler) {}
}

/// The numbers that are collected for a page.
public struct CollectedMetrics {
    private var values: [String: [(dimensions: [(String, String)], value: Double)]] = [:]

    /// Sets a counter or gauge. Two values with the same labels are added.
    public mutating func set(_ name: String, _ dimensions: [(String, String)] = [], to value: Double) {
        values[name, default: []].append((dimensions, value))
    }

    /// Sets a counter or gauge.
    public mutating func set(_ name: String, _ dimensions: [(String, String)] = [], to value: Int) {
        set(name, dimensions, to: Double(value))
    }

    func samples(of family: MetricFamily) -> [[String]: Double] {
        var samples: [[String]: Double] = [:]
        for (dimensions, value) in values[family.name] ?? [] {
            let labels = family.labelValues(dimensions)
            let isFull = samples.count >= MetricFamily.maximumSeries && samples[labels] == nil
            samples[isFull ? family.overflowValues : labels, default: 0] += value
        }
        return samples
    }
}
