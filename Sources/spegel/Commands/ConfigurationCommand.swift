import ArgumentParser
import ContainerdStore
import Files
import HTTPClient
import Logging
import Monitoring
import NIOPosix
import NodeConfiguration
import Registry

/// `spegel configuration`: tells containerd to ask the mirror first.
struct ConfigurationCommand: AsyncParsableCommand, SettableCommand {
    /// The programs that are configured, by their files.
    enum Format: String, CaseIterable, ExpressibleByArgument {
        /// containerd.
        case hosts = "hosts.toml"
        /// podman, CRI-O, skopeo and buildah.
        case registries = "registries.conf"
    }

    static let configuration = CommandConfiguration(
        commandName: "configuration",
        abstract: "Configure containerd, or podman and CRI-O, to ask the mirror first.",
        usage: "spegel configuration --mirror-targets URL … [OPTION …]",
        discussion: """
            What was configured before stays in force, and in _backup for cleanup. --help-hidden lists rare options too.

            Example: spegel configuration --mirrored-registries https://docker.io \
            --mirror-targets http://127.0.0.1:5000
            """
    )

    static let settings: [Setting<Self>] = Setting.group(\.common) + own

    private static let own: [Setting<Self>] = [
        Setting("containerd-registry-config-path", \.containerdRegistryConfigPath),
        Setting("registries-conf-dir", \.registriesConfDir),
        Setting("mirrored-registries", list: \.mirroredRegistries),
        Setting("mirror-targets", list: \.mirrorTargets),
        Setting("resolve-tags", \.resolveTags),
        Setting("tags", \.tags),
        Setting("prepend-existing", \.prependExisting),
        Setting("dial-timeout", \.dialTimeout),
        Setting("basic-auth-dir", optional: \.basicAuthDir),
        Setting("containerd-sock", \.containerdSock),
        Setting("containerd-config", optional: \.containerdConfig),
    ]

    @Option(help: ArgumentHelp("For containerd, or podman and CRI-O.", valueName: "file"))
    var format = Format.hosts

    @Option(help: ArgumentHelp("containerd's registry configuration.", valueName: "dir"))
    var containerdRegistryConfigPath = MirrorConfiguration.Defaults.registryConfigPath

    @Option(help: ArgumentHelp("Folder for registries.conf.", valueName: "dir", visibility: .rare))
    var registriesConfDir = RegistriesConfiguration.defaultFolder

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("URLs to mirror; _default: all others; default: all.", valueName: "url")
    )
    var mirroredRegistries: [String] = []

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Mirrors to ask, as URLs, in this order.", valueName: "url")
    )
    var mirrorTargets: [String] = []

    @Option(help: ArgumentHelp("Ask the mirrors for tags too.", valueName: "bool"))
    var resolveTags = Switch(MirrorConfiguration.Defaults.resolveTags)

    @Option(help: ArgumentHelp("cached: tags from mirrors first; fresh: from the registry.", valueName: "order"))
    var tags = MirrorConfiguration.Defaults.tags

    @Option(help: ArgumentHelp("Keep other mirrors, after these.", valueName: "bool"))
    var prependExisting = Switch(MirrorConfiguration.Defaults.prependExisting)

    @Option(help: ArgumentHelp("Connect timeout of containerd 2.1+; 0: its own.", valueName: "time", visibility: .rare))
    var dialTimeout = TimeSpan(MirrorConfiguration.Defaults.dialTimeout)

    @Option(
        help: ArgumentHelp(
            "Credentials for the mirrors; default: \(CredentialFolder.standardPath).",
            valueName: "dir"
        )
    )
    var basicAuthDir: String?

    @Option(
        help: ArgumentHelp(
            "containerd's socket.",
            valueName: "path"
        )
    )
    var containerdSock = ContainerdStore.Defaults.socketPath

    @Option(help: ArgumentHelp("For --check: another path of config.toml.", valueName: "path", visibility: .rare))
    var containerdConfig: String?

    @Option(help: ArgumentHelp("For --check: the node's --metrics-addr.", valueName: "url", visibility: .rare))
    var address = NodeAddress.local(ListenAddress.metrics)

    @Flag(help: "Only show the changes, as a diff.")
    var dryRun = false

    @Flag(help: "Only check the whole setup; exit 1 if it is wrong.")
    var check = false

    @Option(help: ArgumentHelp("Format of --check.", valueName: "format"))
    var output = OutputFormat.text

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard !(check && dryRun) else { throw ValidationError("--check and --dry-run exclude each other.") }
        guard output == .text || check else { throw ValidationError("--output needs --check.") }
        if check, listItems(mirrorTargets).isEmpty { return }
        _ = try mirrors(authorization: nil)
    }

    func run() async throws {
        if format == .registries { return try await configureRegistries() }
        if check { return try await runCheck() }
        var mirrors = try mirrors(authorization: Authorization.field(folder: basicAuthDir))
        await mirrors.adapt(toContainerdAt: containerdSock)
        if dryRun {
            Terminal.write(try mirrors.preview().text(isColoured: Terminal.isInteractive))
        } else {
            _ = try mirrors.apply(logger: common.logOutput().logger(label: "spegel", level: common.logLevel))
        }
    }

    private func configureRegistries() async throws {
        if check { return try await runRegistriesCheck() }
        let registries = RegistriesConfiguration(folder: registriesConfDir, mirrors: try mirrors(authorization: nil))
        if dryRun {
            Terminal.write(try registries.preview().text(isColoured: Terminal.isInteractive))
        } else {
            try registries.apply(logger: common.logOutput().logger(label: "spegel", level: common.logLevel))
        }
    }

    private func runRegistriesCheck() async throws {
        let state = Result { try RegistriesState.read(folder: registriesConfDir) }
        var isWritten: Bool?
        var targets = try urls(mirrorTargets, flag: "--mirror-targets").map(\.description)
        if targets.isEmpty {
            targets = (try? state.get())??.mirrors ?? []
        } else if case .success = state {
            let registries = RegistriesConfiguration(
                folder: registriesConfDir,
                mirrors: try mirrors(authorization: nil)
            )
            isWritten = try !registries.preview().isChange
        }
        let check = ConfigurationCheck(
            registries: state.mapError { ConfigurationCheck.Reason($0) },
            folder: registriesConfDir,
            isWritten: isWritten,
            strangers: try await strangers(),
            node: await NodeFindings.find(mirrors: targets, node: address.url)
        )
        try report(check)
    }

    private func report(_ check: ConfigurationCheck) throws {
        switch output {
        case .text: Terminal.write(check.text + "\n")
        case .json: try Terminal.write(json: check.document)
        }
        if !check.isGood { throw ExitCode(1) }
    }

    private func mirrors(authorization: String?) throws -> MirrorConfiguration {
        let targets = try urls(mirrorTargets, flag: "--mirror-targets")
        guard !targets.isEmpty else {
            throw ValidationError("--mirror-targets needs at least one URL, such as http://127.0.0.1:5000.")
        }
        let registries = try MirroredRegistries(mirroredRegistries)
        return MirrorConfiguration(
            registryConfigPath: containerdRegistryConfigPath,
            mirroredRegistries: registries.urls,
            mirrorsOthers: registries.includesOthers,
            mirrorTargets: targets,
            resolveTags: resolveTags.isOn,
            tags: tags,
            prependExisting: prependExisting.isOn,
            dialTimeout: dialTimeout.duration,
            authorization: authorization
        )
    }

    /// The mirrors of this machine where another program answers.
    private func strangers() async throws -> [String] {
        var strangers: [String] = []
        for target in try urls(mirrorTargets, flag: "--mirror-targets") {
            guard let url = HTTPURL("\(target)"), !url.isSecure, MirrorProbe.isOnThisMachine(url) else { continue }
            let probe = MirrorProbe(url: url, group: MultiThreadedEventLoopGroup.singleton)
            if case .stranger(let reason) = await probe.find() { strangers.append("\(target) (\(reason))") }
        }
        return strangers
    }

    /// The mirrors to ask: those of the flag, or those that were written.
    private func writtenMirrors() throws -> [String] {
        let named = try urls(mirrorTargets, flag: "--mirror-targets").map(\.description)
        return named.isEmpty ? (try? MirroredFolder.writtenMirrors(containerdRegistryConfigPath)) ?? [] : named
    }

    private func runCheck() async throws {
        let setup = await ContainerdInquiry.setup(socket: containerdSock)
        var place: SetupLookup.Place?
        if let containerdConfig {
            place = SetupLookup.Place(path: containerdConfig)
        } else {
            place = SetupLookup.place((try? setup.get()) ?? ContainerdSetup(version: ""), socket: containerdSock)
        }
        var file = Result { try place.flatMap { try ContainerdConfigurationFile.load($0.path, root: $0.root) } }
        let reader = (try? setup.get())?.hostsReader ?? .any
        let folders = Result { try MirroredFolder.read(containerdRegistryConfigPath, for: reader) }
        // containerd itself knows best how it reads its file.
        var refusal: String?
        var isDumped = false
        if let place, case .success(.some(var found)) = file,
            let dump = await ContainerdInquiry.dump(place, try? setup.get())
        {
            if dump.isGood {
                isDumped = found.take(dump: dump.output)
                if isDumped { file = .success(found) }
            } else {
                let lines = String(decoding: dump.errors, as: UTF8.self).split(separator: "\n")
                refusal = lines.last.map { Plain.text(String($0.prefix(300))) } ?? "no reason given"
            }
        }
        var isWritten: Bool?
        if !listItems(mirrorTargets).isEmpty {
            var mirrors = try mirrors(authorization: Authorization.field(folder: basicAuthDir))
            if let setup = try? setup.get() { mirrors.reader = setup.hostsReader }
            isWritten = try mirrors.preview().changes.isEmpty
        }
        let check = ConfigurationCheck(
            ConfigurationCheck.Findings(
                socket: containerdSock,
                setup: setup,
                place: place,
                file: file.mapError { ConfigurationCheck.Reason($0) },
                registryConfigPath: containerdRegistryConfigPath,
                mirrors: folders.mapError { ConfigurationCheck.Reason($0) },
                isWritten: isWritten,
                strangers: try await strangers(),
                refusal: refusal,
                isDumped: isDumped,
                node: await NodeFindings.find(mirrors: try writtenMirrors(), node: address.url)
            )
        )
        try report(check)
    }
}

extension MirrorConfiguration.Tags: ExpressibleByArgument {}

extension MirrorConfiguration {
    /// Adapts the files to the containerd that reads them, if that makes a difference and containerd answers.
    fileprivate mutating func adapt(toContainerdAt socket: String) async {
        guard (try? dependsOnReader()) == true, let setup = try? await ContainerdInquiry.setup(socket: socket).get()
        else { return }
        reader = setup.hostsReader
    }
}

/// The registries that a list flag names. `_default` and `*` stand for all that are not named.
struct MirroredRegistries {
    private(set) var urls: [RegistryURL] = []
    private(set) var includesOthers = false

    init(_ values: [String]) throws {
        for item in listItems(values) {
            if item == "_default" || item == "*" {
                includesOthers = true
            } else {
                urls += try spegel.urls([item], flag: "--mirrored-registries")
            }
        }
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
