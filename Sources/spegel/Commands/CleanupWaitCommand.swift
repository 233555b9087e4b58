import ArgumentParser
import Kubernetes
import Logging
import Monitoring
import NIOPosix
import ServiceLifecycle

/// `spegel cleanup-wait`: waits until `spegel cleanup` is done on every node.
struct CleanupWaitCommand: AsyncParsableCommand, SettableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cleanup-wait",
        abstract: "Wait until the cleanup is done on all nodes behind a name.",
        usage: "spegel cleanup-wait --probe-endpoint HOST:PORT [OPTION …]",
        discussion: """
            It asks all addresses of the name at /healthz. With --daemonset, the API server says which nodes there are \
            to be.

            Example: spegel cleanup-wait --probe-endpoint spegel-cleanup:8080
            """
    )

    static let settings: [Setting<Self>] = Setting.group(\.common) + own

    private static let own: [Setting<Self>] = [
        Setting("probe-endpoint", \.probeEndpoint),
        Setting("daemonset", optional: \.daemonset),
        Setting("threshold", \.threshold),
        Setting("period", \.period),
        Setting("timeout", \.timeout),
    ]

    @OptionGroup var common: CommonOptions

    @Option(help: ArgumentHelp("Name of all nodes, and their port.", valueName: "host:port"))
    var probeEndpoint: ListenAddress

    @Option(help: ArgumentHelp("DaemonSet in the pod's namespace that runs the cleanup.", valueName: "name"))
    var daemonset: String?

    @Option(help: ArgumentHelp("Successful probes in a row to wait for.", valueName: "count"))
    var threshold = 3

    @Option(help: ArgumentHelp("Time between two probes.", valueName: "time"))
    var period = TimeSpan(.seconds(2))

    @Option(help: ArgumentHelp("Maximum time to wait.", valueName: "time"))
    var timeout = TimeSpan(.seconds(600))

    func validate() throws {
        guard probeEndpoint.host != nil else {
            throw ValidationError(
                "--probe-endpoint: expected HOST:PORT, such as spegel-cleanup:8080, got '\(probeEndpoint)'."
            )
        }
        guard (1...1000).contains(threshold) else {
            throw ValidationError("--threshold: expected 1 to 1000, got \(threshold).")
        }
        guard period.duration >= .milliseconds(10) else {
            throw ValidationError("--period: expected at least 10ms, got '\(period)'.")
        }
    }

    func run() async throws {
        let logger = common.logOutput().logger(label: "spegel", level: common.logLevel)
        let probe = CleanupProbe(
            host: probeEndpoint.host ?? "",
            port: probeEndpoint.port,
            daemonSet: try daemonSetClient(logger),
            threshold: threshold,
            period: period.duration,
            timeout: timeout.duration,
            group: MultiThreadedEventLoopGroup.singleton,
            logger: logger
        )
        try await probe.run()
    }

    /// The client that asks for the nodes; `nil` without a DaemonSet, or outside a pod.
    private func daemonSetClient(_ logger: Logger) throws -> DaemonSetClient? {
        guard let daemonset else { return nil }
        let environment = Environment.current
        guard environment["KUBERNETES_SERVICE_HOST"]?.isEmpty == false else {
            logger.warning("not in a pod, asking only the addresses of the name")
            return nil
        }
        let access = try ClusterAccess.inCluster(environment: environment)
        try access.check()
        guard let name = DaemonSetName(namespace: access.namespace ?? "default", name: daemonset) else {
            throw ValidationError("--daemonset: expected the name of a DaemonSet, got '\(daemonset)'.")
        }
        return DaemonSetClient(
            access: access,
            name: name,
            userAgent: "spegel-swift/\(Version.text)",
            group: MultiThreadedEventLoopGroup.singleton
        )
    }
}
