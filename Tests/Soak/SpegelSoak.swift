import ArgumentParser
import FoundationEssentials
import Glibc
import LibP2P
import Logging
import NIOPosix
import Routing

/// Runs a cluster under churn and checks that no record is lost and no resource leaks.
@main
struct SpegelSoak: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "spegel-soak",
        abstract: "Run nodes in one process on loopback that join, leave, advertise and look up at random.",
        discussion: """
            Afterwards each node must hold the records of living nodes and no others; when all are ended, no descriptor, \
            task, host or router may be left, and memory must have stayed flat.
            """
    )

    @Option(help: ArgumentHelp("The duration of the run.", valueName: "seconds"))
    var duration = 600

    @Option(help: "The maximum number of nodes.")
    var nodes = 12

    @Option(help: "The seed of all actions, random by default. It is printed.")
    var seed: UInt64?

    func validate() throws {
        guard duration > 0, (2...200).contains(nodes) else {
            throw ValidationError("expected a positive duration, and from 2 to 200 nodes")
        }
    }

    func run() async throws {
        let seed = seed ?? UInt64.random(in: .min ... .max)
        print("seed \(seed), \(nodes) nodes, \(duration) s")
        fflush(nil)
        // A hang ends here.
        alarm(UInt32(duration) + 300)
        let timing = SoakTiming(timeToLive: .seconds(min(20, max(4, duration / 5))))
        var logger = Logger(label: "soak") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .notice
        let before = try await restingDescriptors(timing: timing, logger: logger)

        let cluster = SoakCluster(size: nodes, timing: timing, seed: seed, logger: logger)
        var report = SoakReport()
        let trend = try await churn(cluster)
        report.add(lookups: cluster.lookups, deeds: cluster.deeds)
        report.add(trend, duration: duration)
        await settle(cluster, timing: timing, report: &report)
        await cluster.empty()
        await checkNothingIsLeft(of: cluster, descriptors: before, report: &report)
        report.failures += cluster.failures
        // The run has ended in time.
        alarm(0)
        for line in report.lines { print(line) }
        for failure in report.failures { print("FAILED: \(failure)") }
        if !report.failures.isEmpty { throw ExitCode.failure }
    }

    /// The number of descriptors that the process itself needs after it has had nodes: event loops, the clock's.
    private func restingDescriptors(timing: SoakTiming, logger: Logger) async throws -> Int {
        let cluster = SoakCluster(size: 2, timing: timing, seed: 0, logger: logger)
        try await cluster.fill()
        await cluster.empty()
        _ = await eventually { cluster.hosts.allSatisfy { $0.object == nil } }
        return ProcessState.openDescriptors
    }

    private func churn(_ cluster: SoakCluster) async throws -> MemoryTrend {
        var trend = MemoryTrend()
        let clock = ContinuousClock()
        let begin = clock.now
        try await cluster.fill()
        while clock.now - begin < .seconds(duration) {
            try await cluster.act()
            try await clock.sleep(for: .milliseconds(10))
            let minutes = (clock.now - begin) / .seconds(60)
            // Four samples a second.
            if Double(trend.count) < minutes * 240 {
                trend.add(minutes: minutes, memory: ProcessState.residentMemory)
                if trend.count.isMultiple(of: 240) {
                    print("\(trend.count / 240) min: \(cluster.lookups.found) lookups, \(cluster.deeds.joins) joins")
                    fflush(nil)
                }
            }
        }
        return trend
    }

    /// Waits until each node holds the expected state: at most the lifetime of a record, and some more.
    private func settle(_ cluster: SoakCluster, timing: SoakTiming, report: inout SoakReport) async {
        let nodes = cluster.living
        let living = Set(nodes.map(\.host.peerID))
        func faults(of node: SoakNode) -> [String] {
            let counts = node.router.counts
            let (records, peers) = (cluster.expectedRecords(of: node), nodes.count - 1)
            var faults: [String] = []
            if counts.records != records { faults.append("expected \(records) records, found \(counts.records)") }
            if counts.peers != peers { faults.append("expected \(peers) peers, found \(counts.peers)") }
            let dead = node.host.connectedPeers.filter { !living.contains($0) }.count
            if dead > 0 { faults.append("connections to \(dead) ended nodes") }
            return faults
        }
        let isSettled = await eventually(within: timing.timeToLive + .seconds(20)) {
            nodes.allSatisfy { faults(of: $0).isEmpty }
        }
        if isSettled {
            report.lines.append(
                "each of \(nodes.count) nodes holds exactly the records of living nodes, and knows all others"
            )
        }
        for node in nodes {
            for fault in faults(of: node) { report.failures.append("\(node.peerID): \(fault)") }
        }
    }

    private func checkNothingIsLeft(of cluster: SoakCluster, descriptors before: Int, report: inout SoakReport) async {
        let isGone = await eventually { cluster.hosts.allSatisfy { $0.object == nil } }
        let left = cluster.hosts.filter { $0.object != nil }
        if !isGone {
            report.failures.append("\(left.count) of \(cluster.hosts.count) hosts and routers leaked")
        }
        let tasks = left.compactMap { ($0.object as? Host)?.runningTaskCount }.reduce(0, +)
        if tasks > 0 { report.failures.append("\(tasks) tasks of ended hosts still run") }
        let isClosed = await eventually { ProcessState.openDescriptors <= before }
        if !isClosed {
            report.failures.append(
                "expected \(before) open descriptors as before, found \(ProcessState.openDescriptors)"
            )
        }
        if isGone, isClosed {
            report.lines.append("no descriptor, task, host or router of \(cluster.deeds.joins) nodes leaked")
        }
    }

    private func eventually(within limit: Duration = .seconds(20), _ condition: () -> Bool) async -> Bool {
        let deadline = ContinuousClock.now + limit
        while !condition() {
            guard ContinuousClock.now < deadline else { return false }
            try? await Task.sleep(for: .milliseconds(50))
        }
        return true
    }
}
