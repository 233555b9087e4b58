import CoreMetrics
import TestSupport
import Testing

@testable import Monitoring

struct MetricRegistryTests {
    let registry = MetricRegistry([
        MetricFamily("a_total", .counter, "Counts a \\ \n b.", labels: [.fixed("kind", ["x", "y"]), .open("name")]),
        MetricFamily("b", .gauge, "Is b."),
        MetricFamily("c_seconds", .histogram(buckets: [0.5, 1]), "Lasts c.", labels: [.fixed("kind", ["x"])]),
        MetricFamily("d_bytes", .gauge, "Is asked for.", labels: [.open("name")]),
    ])

    func lines() -> [String] { registry.text.split(separator: "\n").map(String.init) }

    @Test func aMetricWithoutSamplesIsNotOnThePage() {
        #expect(registry.text.isEmpty)
    }

    @Test func countersAreShownInOrderWithEscapedLabels() {
        Counter(label: "a_total", dimensions: [("name", "q\"\\\n"), ("kind", "y")], factory: registry).increment(by: 3)
        Counter(label: "a_total", dimensions: [("kind", "x"), ("name", "n")], factory: registry).increment()
        Counter(label: "a_total", dimensions: [("kind", "x"), ("name", "n")], factory: registry).increment(by: 41)
        #expect(
            lines() == [
                #"# HELP a_total Counts a \\ \n b."#, "# TYPE a_total counter",
                #"a_total{kind="x",name="n"} 42"#, #"a_total{kind="y",name="q\"\\\n"} 3"#,
            ]
        )
    }

    @Test func aCounterNeverDecreases() {
        let counter = Counter(label: "a_total", dimensions: [("kind", "x"), ("name", "n")], factory: registry)
        counter.increment(by: 5)
        counter.increment(by: -3)
        counter.reset()
        #expect(lines().last == #"a_total{kind="x",name="n"} 5"#)
    }

    @Test func gaugesAreSetAndMoved() {
        let meter = Meter(label: "b", factory: registry)
        meter.set(2.5)
        meter.increment(by: 1)
        meter.decrement(by: 0.25)
        #expect(lines().last == "b 3.25")
        Gauge(label: "b", factory: registry).record(-7)
        #expect(lines().last == "b -7")
    }

    @Test func bucketsAreCumulative() {
        let timer = Timer(label: "c_seconds", dimensions: [("kind", "x")], factory: registry)
        timer.recordNanoseconds(500_000_000)
        timer.recordNanoseconds(500_000_001)
        timer.recordNanoseconds(3_000_000_000)
        let recorder = Recorder(label: "c_seconds", dimensions: [("kind", "x")], factory: registry)
        recorder.record(Double.nan)
        recorder.record(Double.infinity)
        #expect(
            lines().dropFirst(2) == [
                #"c_seconds_bucket{kind="x",le="0.5"} 1"#, #"c_seconds_bucket{kind="x",le="1"} 2"#,
                #"c_seconds_bucket{kind="x",le="+Inf"} 3"#, #"c_seconds_sum{kind="x"} 4.000000001"#,
                #"c_seconds_count{kind="x"} 3"#,
            ]
        )
    }

    @Test func unknownMetricsAndWrongKindsAreIgnored() {
        Counter(label: "unknown_total", factory: registry).increment()
        Counter(label: "b", factory: registry).increment()
        Meter(label: "a_total", factory: registry).set(1)
        Timer(label: "d_bytes", factory: registry).recordNanoseconds(1)
        #expect(registry.text.isEmpty)
    }

    @Test func labelsAreBounded() {
        var generator = SeededGenerator()
        let seed = generator.seed
        for index in 0..<(MetricFamily.maximumSeries * 2) {
            let kind = Bool.random(using: &generator) ? "x" : "\(generator.next())"
            let dimensions = [("kind", kind), ("name", "\(index)"), ("unknown", "\(index)")]
            Counter(label: "a_total", dimensions: dimensions, factory: registry).increment()
        }
        let samples = lines().dropFirst(2)
        #expect(samples.count <= MetricFamily.maximumSeries + 1, "seed \(seed)")
        let values = samples.compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }
        #expect(values.reduce(0, +) == MetricFamily.maximumSeries * 2, "nothing is lost, seed \(seed)")
        let kinds = Set(samples.map { $0.contains(#"kind="x""#) ? "x" : $0.contains(#"kind="other""#) ? "other" : $0 })
        #expect(kinds.isSubset(of: ["x", "other"]), "seed \(seed)")
    }

    @Test func collectedMetricsAreBounded() {
        registry.collect { metrics in
            metrics.set("d_bytes", [("name", "x")], to: 1)
            metrics.set("d_bytes", [("name", "x")], to: 2)
            metrics.set("b", to: 1.5)
            metrics.set("unknown", to: 1)
            for index in 0..<(MetricFamily.maximumSeries * 2) { metrics.set("d_bytes", [("name", "\(index)")], to: 1) }
        }
        #expect(lines().contains(#"d_bytes{name="x"} 3"#))
        #expect(lines().contains("b 1.5"))
        #expect(lines().count <= MetricFamily.maximumSeries + 6)
        #expect(lines().contains(#"d_bytes{name="other"} \#(MetricFamily.maximumSeries + 1)"#))
    }

    @Test func manyThreadsLoseNothing() async {
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    let meter = Meter(label: "b", factory: registry)
                    let timer = Timer(label: "c_seconds", dimensions: [("kind", "x")], factory: registry)
                    for _ in 0..<1000 {
                        meter.increment()
                        timer.recordNanoseconds(1)
                    }
                }
            }
        }
        #expect(lines().contains("b 8000"))
        #expect(lines().contains(#"c_seconds_count{kind="x"} 8000"#))
    }

    @Test(arguments: [
        (0.0, "0"), (-0.5, "-0.5"), (1e300, "1e+300"), (1_700_000_000, "1700000000"), (.infinity, "+Inf"),
        (-.infinity, "-Inf"), (.nan, "NaN"), (0.005, "0.005"),
    ])
    func numbersAreWrittenAsPrometheusReadsThem(_ number: Double, _ text: String) {
        #expect(PrometheusPage.text(of: number) == text)
    }
}
