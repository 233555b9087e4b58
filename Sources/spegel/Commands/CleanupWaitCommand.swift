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
            Each probe resolves the name again. All its addresses must answer GET /healthz. With --daemonset, the API \
            server says which nodes there are to be, so that no slow node is missed; it needs get on that DaemonSet \
            and list on the pods of its namespace.

            Example: spegel cleanup-wait --probe-endpoint spegel-cleanup.spegel.svc.cluster.local.:8080 \
            --daemonset spegel/spegel-cleanup
            """
    )

    static let settings: [Setting<Self>] = Setting.group(\.common) + own

    private static let own: [Setting<Self>] = [
        Setting("probe-endpoint", \.probeEndpoint),
        Setting("daemonset", optional: \.daemonset),
        Setting("kubeconfig", optional: \.kubeconfig),
        Setting("threshold", \.threshold),
        Setting("period", \.period),
        Setting("timeout", \.timeout),
    ]

    @OptionGroup var common: CommonOptions

    @Option(help: ArgumentHelp("Name of all nodes, and their port.", valueName: "host:port"))
    var probeEndpoint: ListenAddress

    @Option(help: ArgumentHelp("DaemonSet of the cleanup; all its nodes must be done.", valueName: "namespace/name"))
    var daemonset: DaemonSetName?

    @Option(help: ArgumentHelp("Access to the API server; a pod needs none.", valueName: "path", visibility: .rare))
    var kubeconfig: String?

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

    /// The client that asks for the nodes; `nil` without a DaemonSet, or outside a pod without a kubeconfig.
    private func daemonSetClient(_ logger: Logger) throws -> DaemonSetClient? {
        guard let daemonset else { return nil }
        let environment = Environment.current
        guard kubeconfig != nil || environment["KUBERNETES_SERVICE_HOST"]?.isEmpty == false else {
            logger.warning("no access to the API server, asking only the addresses of the name")
            return nil
        }
        let access =
            if let kubeconfig {
                try ClusterAccess.kubeconfig(path: kubeconfig)
            } else {
                try ClusterAccess.inCluster(environment: environment)
            }
        try access.check()
        return DaemonSetClient(
            access: access,
            name: daemonset,
            userAgent: "spegel-swift/\(Version.text)",
            group: MultiThreadedEventLoopGroup.singleton
        )
    }
}

extension DaemonSetName: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}
