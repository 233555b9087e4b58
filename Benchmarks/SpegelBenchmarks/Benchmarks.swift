import Benchmark

/// All benchmarks. What begins with "reference" does the same work, or the least part of it that anybody has to do,
/// without this project's code: compare it with the line before.
let benchmarks: @Sendable () -> Void = {
    Benchmark.defaultConfiguration = .repeated(.one)
    securityBenchmarks()
    muxerBenchmarks()
    kademliaBenchmarks()
    registryBenchmarks()
}

extension Benchmark.Configuration {
    /// Measures runs of this number of operations each, for two seconds. Operations of about a microsecond run a thousand
    /// times per measurement, so that the cost of the clock does not count.
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
