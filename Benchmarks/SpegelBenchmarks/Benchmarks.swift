import Benchmark

/// All benchmarks. Names that begin with "reference" measure the same work, or the minimum that any program must do,
/// without this project's code. Compare them with the line before.
let benchmarks: @Sendable () -> Void = {
    Benchmark.defaultConfiguration = .repeated(.one)
    securityBenchmarks()
    muxerBenchmarks()
    kademliaBenchmarks()
    registryBenchmarks()
}

extension Benchmark.Configuration {
    /// Measures runs of a number of operations for two seconds. Operations of about a microsecond are measured in
    /// thousands, so that reading the clock does not matter.
    static func repeated(_ times: BenchmarkScalingFactor) -> Self {
        Self(
            metrics: [.wallClock, .throughput],
            timeUnits: .nanoseconds,
            warmupIterations: 1,
            scalingFactor: times,
            maxDuration: .seconds(2),
            maxIterations: 1_000_000
        )
    }
}
