import ArgumentParser
import HTTPServer
import Logging
import Monitoring
import NIOPosix
import NodeConfiguration
import ServiceLifecycle

/// `spegel cleanup`: takes back what `spegel configuration` wrote, then tells whoever asks that it is done.
struct CleanupCommand: AsyncParsableCommand, SettableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cleanup",
        abstract: "Put containerd's registry configuration back as it was.",
        usage: "spegel cleanup --addr ADDRESS [OPTION …]",
        discussion: """
            Runs on every node when Spegel is uninstalled. What 'spegel configuration' wrote is removed, and what it \
            kept in _backup is put back. GET /healthz is answered until SIGTERM comes, so that 'spegel cleanup-wait' can \
            tell when all nodes are done.

            Example: spegel cleanup --addr :8080
            """
    )

    static let settings: [Setting<Self>] = Setting.group(\.common) + own

    private static let own: [Setting<Self>] = [
        Setting("addr", \.addr),
        Setting("containerd-registry-config-path", \.containerdRegistryConfigPath),
    ]

    @OptionGroup var common: CommonOptions

    @Option(help: ArgumentHelp("Where to answer /healthz once it is done.", valueName: "address"))
    var addr: ListenAddress

    @Option(help: ArgumentHelp("The folder of containerd's registry configuration.", valueName: "dir"))
    var containerdRegistryConfigPath = MirrorConfiguration.Defaults.registryConfigPath

    func run() async throws {
        let logger = common.logOutput().logger(label: "spegel", level: common.logLevel)
        let report = try MirrorConfiguration.restore(path: containerdRegistryConfigPath, logger: logger)
        logger.info(
            report.isChange
                ? "containerd's registry configuration is as it was before" : "there is nothing to put back",
            metadata: ["path": "\(containerdRegistryConfigPath)"]
        )
        var configuration = HTTPServer.Configuration(host: addr.host, port: Int(addr.port))
        configuration.setting = "--addr"
        let server = HTTPServer(
            configuration: configuration,
            routes: HTTPServer.Routes(reads: ["/healthz": { _ in .text("done") }], health: ["/healthz"]),
            group: MultiThreadedEventLoopGroup.singleton,
            logger: logger
        )
        try await StopSignals.run(server, logger: logger)
    }
}
