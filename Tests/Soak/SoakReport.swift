/// What a run has shown, and what of it must not be.
struct SoakReport {
    /// The part of the lookups of settled keys that must succeed.
    static let successBar = 0.99
    /// How much memory may grow from the second to the last quarter of a run of five minutes or more, in MiB. A run
    /// that is shorter has hardly warmed up.
    static let memoryBar = 8.0
    static let memoryBarOfShortRun = 32.0

    var lines: [String] = []
    var failures: [String] = []

    mutating func add(lookups: SoakCluster.Lookups, deeds: SoakCluster.Deeds) {
        lines.append(
            "\(deeds.joins) joins, \(deeds.leaves) leaves, \(deeds.kills) kills, \(deeds.adverts) adverts, "
                + "\(deeds.withdrawals) withdrawals"
        )
        let times = lookups.times.sorted()
        let median = times.isEmpty ? .zero : times[times.count / 2]
        let late = times.isEmpty ? .zero : times[min(times.count - 1, times.count * 99 / 100)]
        let success = Double(lookups.found) / Double(max(1, lookups.expected))
        lines.append(
            "\(lookups.found) of \(lookups.expected) lookups of settled keys found a holder (\(Self.percent(success))); "
                + "median \(Self.milliseconds(median)), p99 \(Self.milliseconds(late))"
        )
        lines.append("\(lookups.absent) lookups of keys that no node has, \(lookups.invented) of them found a provider")
        if lookups.expected == 0 { failures.append("no lookup had a known answer") }
        if success < Self.successBar {
            failures.append("expected \(Self.percent(Self.successBar)) of lookups to succeed")
        }
        if lookups.invented > 0 { failures.append("lookups found providers of keys that no node has advertised") }
    }

    mutating func add(_ trend: MemoryTrend, duration: Int) {
        let (second, last) = trend.quarters
        let bar = duration >= 300 ? Self.memoryBar : Self.memoryBarOfShortRun
        lines.append(
            "resident memory \(Self.rounded(second)) MiB in the second quarter, \(Self.rounded(last)) MiB in the last; "
                + "slope \(Self.rounded(trend.slope)) MiB/min"
        )
        if last - second > bar {
            failures.append("expected memory to grow by at most \(Self.rounded(bar)) MiB after the first quarter")
        }
    }

    private static func percent(_ value: Double) -> String { "\(rounded(value * 100)) %" }

    private static func milliseconds(_ duration: Duration) -> String { "\(rounded(duration / .milliseconds(1))) ms" }

    private static func rounded(_ value: Double) -> String { "\((value * 100).rounded() / 100)" }
}
