import ArgumentParser
import HTTPServer
import Logging
import Monitoring
import NIOPosix
import NodeConfiguration
import ServiceLifecycle

/// `spegel cleanup`: restores what was there before `spegel configuration`, then reports on `/healthz` that it is done.
struct CleanupCommand: AsyncParsableCommand, SettableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cleanup",
        abstract: "Restore the registry configuration of containerd, podman and CRI-O.",
        usage: "spegel cleanup --addr ADDRESS [OPTION …]",
        discussion: """
            Run it on every node to uninstall Spegel. It removes what 'spegel configuration' wrote and restores what \
            that kept in _backup. Then it answers GET /healthz until SIGTERM, so that 'spegel cleanup-wait' knows when \
            all nodes are done. --help-hidden lists rare options too.

            Example: spegel cleanup --addr :8080
            """
    )

    static let settings: [Setting<Self>] = Setting.group(\.common) + own

    private static let own: [Setting<Self>] = [
        Setting("addr", \.addr),
        Setting("containerd-registry-config-path", \.containerdRegistryConfigPath),
        Setting("registries-conf-dir", \.registriesConfDir),
    ]

    @OptionGroup var common: CommonOptions

    @Option(help: ArgumentHelp("Address to answer /healthz at when it is done.", valueName: "address"))
    var addr: ListenAddress

    @Option(help: ArgumentHelp("Folder of containerd's registry configuration.", valueName: "dir"))
    var containerdRegistryConfigPath = MirrorConfiguration.Defaults.registryConfigPath

    @Option(help: ArgumentHelp("Folder of registries.conf files.", valueName: "dir", visibility: .rare))
    var registriesConfDir = RegistriesConfiguration.defaultFolder

    func run() async throws {
        let logger = common.logOutput().logger(label: "spegel", level: common.logLevel)
        try RegistriesConfiguration.restore(folder: registriesConfDir, logger: logger)
        let report = try MirrorConfiguration.restore(path: containerdRegistryConfigPath, logger: logger)
        logger.info(
            report.isChange
                ? "restored containerd's registry configuration"
                : "nothing to restore in containerd's registry configuration",
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
