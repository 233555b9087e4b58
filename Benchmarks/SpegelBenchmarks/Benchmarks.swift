import Benchmark

/// All benchmarks. What begins with "reference" does the same work, or the least part of it that anybody has to do,
/// without this project's code: compare it with the line before.
let benchmarks: @Sendable () -> Void = {
    Benchmark.defaultConfiguration = .init(
        metrics: [.wallClock, .throughput],
        timeUnits: .microseconds,
        warmupIterations: 3,
        maxDuration: .seconds(2),
        maxIterations: 1_000_000
    )
    securityBenchmarks()
    muxerBenchmarks()
    kademliaBenchmarks()
    registryBenchmarks()
}
