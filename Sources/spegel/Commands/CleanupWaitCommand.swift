import ArgumentParser
import Logging
import Monitoring
import NIOPosix
import ServiceLifecycle

/// `spegel cleanup-wait`: waits until `spegel cleanup` is done on every node.
struct CleanupWaitCommand: AsyncParsableCommand, SettableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cleanup-wait",
        abstract: "Wait until all nodes behind a name say that their cleanup is done.",
        usage: "spegel cleanup-wait --probe-endpoint HOST:PORT [OPTION …]",
        discussion: """
            The name is resolved anew for each probe, and all addresses that it has must answer GET /healthz.

            Example: spegel cleanup-wait --probe-endpoint spegel-cleanup.spegel.svc.cluster.local.:8080
            """
    )

    static let settings: [Setting<Self>] = Setting.group(\.common) + own

    private static let own: [Setting<Self>] = [
        Setting("probe-endpoint", \.probeEndpoint),
        Setting("threshold", \.threshold),
        Setting("period", \.period),
        Setting("timeout", \.timeout),
    ]

    @OptionGroup var common: CommonOptions

    @Option(help: ArgumentHelp("The name of all nodes, and their port.", valueName: "host:port"))
    var probeEndpoint: ListenAddress

    @Option(help: ArgumentHelp("How many probes in a row must succeed.", valueName: "count"))
    var threshold = 3

    @Option(help: ArgumentHelp("The time between two probes.", valueName: "time"))
    var period = TimeSpan(.seconds(2))

    @Option(help: ArgumentHelp("How long to wait in all.", valueName: "time"))
    var timeout = TimeSpan(.seconds(600))

    func validate() throws {
        guard probeEndpoint.host != nil else {
            throw ValidationError("--probe-endpoint must name a host, as in spegel-cleanup:8080.")
        }
        guard (1...1000).contains(threshold) else {
            throw ValidationError("--threshold must be between 1 and 1000, it is \(threshold).")
        }
        guard period.duration >= .milliseconds(10) else {
            throw ValidationError("--period must be at least 10ms, it is '\(period)'.")
        }
    }

    func run() async throws {
        let probe = CleanupProbe(
            host: probeEndpoint.host ?? "",
            port: probeEndpoint.port,
            threshold: threshold,
            period: period.duration,
            timeout: timeout.duration,
            group: MultiThreadedEventLoopGroup.singleton,
            logger: common.logOutput().logger(label: "spegel", level: common.logLevel)
        )
        try await probe.run()
    }
}
