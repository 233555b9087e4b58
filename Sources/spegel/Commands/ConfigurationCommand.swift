import ArgumentParser
import Monitoring
import NodeConfiguration

/// `spegel configuration`: has containerd ask the mirror.
struct ConfigurationCommand: ParsableCommand, SettableCommand {
    static let configuration = CommandConfiguration(
        commandName: "configuration",
        abstract: "Write containerd's registry configuration so that it asks the mirror first.",
        usage: "spegel configuration [OPTION …]",
        discussion: """
            What stood in the folder before is kept in its subfolder _backup.

            Example: spegel configuration --mirrored-registries https://docker.io \
            --mirror-targets http://127.0.0.1:5000
            """
    )

    static let settings =
        CommonOptions.settings + [
            "containerd-registry-config-path", "mirrored-registries", "mirror-targets", "resolve-tags",
            "prepend-existing", "dial-timeout",
        ]

    @OptionGroup var common: CommonOptions

    @Option(help: ArgumentHelp("The folder of containerd's registry configuration.", valueName: "dir"))
    var containerdRegistryConfigPath = "/etc/containerd/certs.d"

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("The registries to mirror, as URLs; all when none is given.", valueName: "url")
    )
    var mirroredRegistries: [String] = []

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("The mirrors to ask, as URLs, in this order.", valueName: "url")
    )
    var mirrorTargets: [String] = []

    @Option(help: ArgumentHelp("Whether tags are asked of the mirror; digests always are.", valueName: "bool"))
    var resolveTags = Switch(true)

    @Option(help: ArgumentHelp("Whether to keep the hosts that were there, behind the mirrors.", valueName: "bool"))
    var prependExisting = Switch(false)

    @Option(help: ArgumentHelp("How long containerd (2.1 or later) tries to connect to a mirror.", valueName: "time"))
    var dialTimeout = TimeSpan(.milliseconds(200), text: "200ms")

    func validate() throws {
        _ = try mirrors()
    }

    func run() throws {
        _ = try mirrors().apply(logger: common.logOutput().logger(label: "spegel", level: common.logLevel))
    }

    private func mirrors() throws -> MirrorConfiguration {
        let targets = try urls(mirrorTargets, flag: "--mirror-targets")
        guard !targets.isEmpty else {
            throw ValidationError("--mirror-targets needs at least one URL, such as http://127.0.0.1:5000.")
        }
        return MirrorConfiguration(
            registryConfigPath: containerdRegistryConfigPath,
            mirroredRegistries: try urls(mirroredRegistries, flag: "--mirrored-registries"),
            mirrorTargets: targets,
            resolveTags: resolveTags.isOn,
            prependExisting: prependExisting.isOn,
            dialTimeout: dialTimeout.duration
        )
    }
}

/// Reads the URLs of a list flag.
func urls(_ values: [String], flag: String) throws -> [RegistryURL] {
    try listItems(values).map { item in
        do {
            return try RegistryURL(item)
        } catch {
            throw ValidationError("\(flag): \(error)")
        }
    }
}
