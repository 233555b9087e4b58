import ArgumentParser
import ContainerdStore
import Kademlia
import Monitoring
import NodeConfiguration
import OCI
import Registry
import Routing

/// `spegel registry`: the node.
struct RegistryCommand: AsyncParsableCommand, SettableCommand {
    static let configuration = CommandConfiguration(
        commandName: "registry",
        abstract: "Run the node: serve local content, mirror content of peers.",
        usage: "spegel registry [OPTION …]   (--help-hidden lists rare options too)",
        discussion: "Example: spegel registry --static-bootstrap-peers /ip4/10.0.0.1/tcp/5001"
    )

    /// The configurations whose defaults the flags have.
    private static let registry = RegistryConfiguration()
    private static let kademlia = KademliaConfiguration()

    static let settings: [Setting<Self>] = Setting.group(\.common) + own + Setting.group(\.bootstrap)

    private static let own: [Setting<Self>] = [
        Setting("registry-addr", \.registryAddr),
        Setting("router-addr", \.routerAddr),
        Setting("metrics-addr", \.metricsAddr),
        Setting("data-dir", \.dataDir),
        Setting("node-name", optional: \.nodeName),
        Setting("zone", optional: \.zone),
        Setting("store", optional: \.store),
        Setting("containerd-sock", \.containerdSock),
        Setting("containerd-namespace", \.containerdNamespace),
        Setting("containerd-content-path", \.containerdContentPath),
        Setting("containerd-registry-config-path", \.containerdRegistryConfigPath),
        Setting("strict", \.strict),
        Setting("mirrored-registries", list: \.mirroredRegistries),
        Setting("default-registry", optional: \.defaultRegistry),
        Setting("registry-filters", list: \.registryFilters),
        Setting("mirror-targets", list: \.mirrorTargets),
        Setting("mirror-resolve-timeout", \.mirrorResolveTimeout),
        Setting("mirror-resolve-retries", \.mirrorResolveRetries),
        Setting("mirror-connect-timeout", \.mirrorConnectTimeout),
        Setting("mirror-head-timeout", \.mirrorHeadTimeout),
        Setting("mirror-stall-timeout", \.mirrorStallTimeout),
        Setting("verify", \.verify),
        Setting("idle-checks", \.idleChecks),
        Setting("resolve-tags", \.resolveTags),
        Setting("basic-auth-dir", optional: \.basicAuthDir),
        Setting("basic-auth-to-peers", \.basicAuthToPeers),
        Setting("allow-from", list: \.allowFrom),
        Setting("cluster-key-file", optional: \.clusterKeyFile),
        Setting("max-uploads", \.maxUploads),
        Setting("max-uploads-per-peer", \.maxUploadsPerPeer),
        Setting("max-downloads", \.maxDownloads),
        Setting("max-downloads-per-peer", \.maxDownloadsPerPeer),
        Setting("upload-rate", optional: \.uploadRate),
        Setting("download-rate", optional: \.downloadRate),
        Setting("tcp-congestion-control", optional: \.tcpCongestionControl),
        Setting("kademlia-prefix", \.kademliaPrefix),
        Setting("provider-ttl", \.providerTtl),
        Setting("provider-refresh", \.providerRefresh),
        Setting("debug-web-enabled", \.debugWebEnabled),
        Setting("debug-web-hosts", list: \.debugWebHosts),
        Setting("shutdown-grace", \.shutdownGrace),
    ]

    @OptionGroup(title: "Finding other nodes") var bootstrap: BootstrapOptions

    @Option(help: ArgumentHelp("Serves containerd and peers.", valueName: "addr"))
    var registryAddr = ListenAddress.registry

    @Option(help: ArgumentHelp("Serves the DHT (libp2p).", valueName: "addr"))
    var routerAddr = ListenAddress.router

    @Option(help: ArgumentHelp("Serves /metrics, health and /debug/.", valueName: "addr"))
    var metricsAddr = ListenAddress.metrics

    @Option(help: ArgumentHelp("Keeps the node's identity.", valueName: "dir"))
    var dataDir = "/var/lib/spegel"

    @Option(
        help: ArgumentHelp(
            "Name of this node in its cluster; default: the machine-id. If a copied --data-dir has another name, the node "
                + "makes a new identity.",
            valueName: "name",
            visibility: .rare
        )
    )
    var nodeName: String?

    @Option(
        help: ArgumentHelp(
            "Zone of this node, as in the label topology.kubernetes.io/zone. Peers of the same zone come first.",
            valueName: "name",
            visibility: .rare
        )
    )
    var zone: String?

    @Option(help: ArgumentHelp("Share this OCI image layout, not containerd's images.", valueName: "dir"))
    var store: String?

    @Option(help: ArgumentHelp("The socket.", valueName: "path"))
    var containerdSock = ContainerdStore.Defaults.socketPath

    @Option(
        help: ArgumentHelp("containerd's namespace that holds the images.", valueName: "name", visibility: .rare)
    )
    var containerdNamespace = ContainerdStore.Defaults.namespace

    @Option(
        help: ArgumentHelp(
            "containerd's content folder. If it is absent, Spegel reads content through the socket.",
            valueName: "dir",
            visibility: .rare
        )
    )
    var containerdContentPath = ContainerdStore.Defaults.contentPath

    @Option(
        help: ArgumentHelp(
            "Folder of containerd's registry configuration; Spegel only checks that containerd uses it.",
            valueName: "dir",
            visibility: .rare
        )
    )
    var containerdRegistryConfigPath = MirrorConfiguration.Defaults.registryConfigPath

    @Option(
        help: ArgumentHelp(
            "Exit if containerd is not set up for sharing.",
            valueName: "bool",
            visibility: .rare
        )
    )
    var strict = Switch(false)

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("URLs to mirror; _default: all others; default: all.", valueName: "url")
    )
    var mirroredRegistries: [String] = []

    @Option(
        help: ArgumentHelp(
            "Registry of requests that name none: docker.io for Docker's registry-mirrors.",
            valueName: "name",
            visibility: .rare
        )
    )
    var defaultRegistry: String?

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "URLs where containerd is to reach this node; it warns if another program answers there.",
            valueName: "url",
            visibility: .rare
        )
    )
    var mirrorTargets: [String] = []

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Do not share a matching REGISTRY/REPOSITORY[:TAG].", valueName: "regex")
    )
    var registryFilters: [String] = []

    @Option(help: ArgumentHelp("Time to find a first provider.", valueName: "time"))
    var mirrorResolveTimeout = TimeSpan(Self.registry.peers.resolveTimeout)

    @Option(
        help: ArgumentHelp(
            "Providers to ask without a time limit; further ones within 5 s.",
            valueName: "count",
            visibility: .rare
        )
    )
    var mirrorResolveRetries = Self.registry.peers.resolveRetries

    @Option(
        help: ArgumentHelp(
            "Time to connect to a provider, before Spegel asks the next one.",
            valueName: "time",
            visibility: .rare
        )
    )
    var mirrorConnectTimeout = TimeSpan(Self.registry.peers.connectTimeout)

    @Option(
        help: ArgumentHelp("Time for a provider to answer.", valueName: "time", visibility: .rare)
    )
    var mirrorHeadTimeout = TimeSpan(Self.registry.peers.headTimeout)

    @Option(
        help: ArgumentHelp(
            "Time for which a provider may send nothing in the middle of a blob.",
            valueName: "time",
            visibility: .rare
        )
    )
    var mirrorStallTimeout = TimeSpan(Self.registry.peers.progressTimeout)

    @Option(
        help: ArgumentHelp(
            """
            When to hash relayed content above 8 MiB: always, or auto (if a client repeats a request, or a peer has sent \
            wrong bytes). A range has no digest.
            """,
            valueName: "when",
            visibility: .rare
        )
    )
    var verify = Self.registry.checks.verification

    @Option(
        help: ArgumentHelp(
            """
            Hash what the store held before the start, while the node is idle: at most 64 MiB/s and a tenth of a \
            processor. Otherwise each piece is hashed when it is first served.
            """,
            valueName: "bool",
            visibility: .rare
        )
    )
    var idleChecks = Switch(true)

    @Option(help: ArgumentHelp("Share tags too, not only digests.", valueName: "bool"))
    var resolveTags = Switch(Self.registry.filter.sharesTags)

    @Option(
        help: ArgumentHelp(
            "Password for clients, else \(CredentialFolder.standardPath).",
            valueName: "dir"
        )
    )
    var basicAuthDir: String?

    @Option(
        help: ArgumentHelp(
            "What peers get of the password: a proof, or plain, which nodes of Spegel in Go need.",
            valueName: "form",
            visibility: .rare
        )
    )
    var basicAuthToPeers = PasswordToPeers.proof

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            """
            Address ranges of clients that may ask for content, such as 10.0.0.0/8 or fd00::/8; gateway: the default \
            gateway, a pod's node. This node always may; peers need a range or the cluster key. Default: all.
            """,
            valueName: "range",
            visibility: .rare
        )
    )
    var allowFrom: [String] = []

    @Option(
        help: ArgumentHelp(
            "Only nodes with this key belong; spegel key makes it.",
            valueName: "file"
        )
    )
    var clusterKeyFile: String?

    @Option(
        help: ArgumentHelp(
            "Blobs sent to peers at a time; others are queued.",
            valueName: "count",
            visibility: .rare
        )
    )
    var maxUploads = Self.registry.transfers.maximumUploads

    @Option(help: ArgumentHelp("Blobs sent to one peer at a time.", valueName: "count", visibility: .rare))
    var maxUploadsPerPeer = Self.registry.transfers.maximumUploadsPerPeer

    @Option(
        help: ArgumentHelp(
            "Blobs fetched from peers at a time; others are queued.",
            valueName: "count",
            visibility: .rare
        )
    )
    var maxDownloads = Self.registry.transfers.maximumDownloads

    @Option(help: ArgumentHelp("Blobs fetched from one peer at a time.", valueName: "count", visibility: .rare))
    var maxDownloadsPerPeer = Self.registry.transfers.maximumDownloadsPerPeer

    @Option(help: ArgumentHelp("Rate limit to peers: 100MB, 1Gbit; 0: none.", valueName: "rate"))
    var uploadRate: ByteRate?

    @Option(help: ArgumentHelp("Rate limit from peers.", valueName: "rate"))
    var downloadRate: ByteRate?

    @Option(
        help: ArgumentHelp(
            """
            TCP congestion control for content: reno, cubic, bbr or another of the kernel's. Default: the system's, but \
            bbr only to peers that are 1 ms or more away.
            """,
            valueName: "name",
            visibility: .rare
        )
    )
    var tcpCongestionControl: String?

    @Option(help: ArgumentHelp("Prefix of the DHT's protocol names.", valueName: "prefix", visibility: .rare))
    var kademliaPrefix = "/spegel"

    @Option(
        help: ArgumentHelp(
            "How long provider records are valid without renewal; those of Spegel v0.7 at least 19 minutes.",
            valueName: "time",
            visibility: .rare
        )
    )
    var providerTtl = TimeSpan(Self.kademlia.providerStore.timeToLive)

    @Option(
        help: ArgumentHelp(
            "How often this node renews its provider records; less than --provider-ttl.",
            valueName: "time",
            visibility: .rare
        )
    )
    var providerRefresh = TimeSpan(Self.kademlia.reprovideInterval)

    @Option(
        help: ArgumentHelp("Serve /debug/ on the metrics address.", valueName: "bool", visibility: .rare)
    )
    var debugWebEnabled = Switch(true)

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Names of this node in URLs of /debug/, besides localhost and addresses. Other names are refused.",
            valueName: "name",
            visibility: .rare
        )
    )
    var debugWebHosts: [String] = []

    @Option(help: ArgumentHelp("How long transfers may continue after SIGTERM.", valueName: "time", visibility: .rare))
    var shutdownGrace = TimeSpan(Self.registry.clients.shutdownGrace)

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (1...100).contains(mirrorResolveRetries) else {
            throw ValidationError("--mirror-resolve-retries: expected 1 to 100, got \(mirrorResolveRetries).")
        }
        guard mirrorResolveTimeout.duration > .zero else {
            throw ValidationError("--mirror-resolve-timeout: expected more than 0, got '\(mirrorResolveTimeout)'.")
        }
        let timeouts = [
            ("--mirror-connect-timeout", mirrorConnectTimeout), ("--mirror-head-timeout", mirrorHeadTimeout),
            ("--mirror-stall-timeout", mirrorStallTimeout),
        ]
        for (name, time) in timeouts where !(Duration.milliseconds(1)...Duration.seconds(60)).contains(time.duration) {
            throw ValidationError("\(name): expected 1ms to 60s, got '\(time)'.")
        }
        guard kademliaPrefix.hasPrefix("/"), !kademliaPrefix.hasSuffix("/"), kademliaPrefix.utf8.count <= 128 else {
            throw ValidationError("--kademlia-prefix: expected a prefix such as /spegel, got '\(kademliaPrefix)'.")
        }
        guard (Duration.seconds(1)...Duration.seconds(86_400)).contains(providerTtl.duration) else {
            throw ValidationError("--provider-ttl: expected 1s to 24h, got '\(providerTtl)'.")
        }
        guard providerRefresh.duration >= .milliseconds(100), providerRefresh.duration < providerTtl.duration else {
            throw ValidationError(
                "--provider-refresh: expected at least 100ms and less than --provider-ttl (\(providerTtl)), got "
                    + "'\(providerRefresh)'."
            )
        }
        if let name = tcpCongestionControl {
            // The maximum length of the kernel's names.
            guard (1...15).contains(name.utf8.count), name.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
                throw ValidationError(
                    "--tcp-congestion-control: expected a name such as reno or cubic, got '\(name)'."
                )
            }
        }
        _ = try ownZone()
        _ = try ownTargets()
        _ = try contentFilter()
        _ = try defaultRegistryName()
        _ = try allowedRanges()
        if basicAuthToPeers == .plain, let clusterKeyFile, !clusterKeyFile.isEmpty {
            throw ValidationError(
                "--basic-auth-to-peers: expected proof with --cluster-key-file, got 'plain'. Nodes of Spegel in Go, which "
                    + "need it, cannot join with a key."
            )
        }
        let limits = [
            ("--max-uploads", maxUploads), ("--max-uploads-per-peer", maxUploadsPerPeer),
            ("--max-downloads", maxDownloads), ("--max-downloads-per-peer", maxDownloadsPerPeer),
        ]
        for (name, count) in limits where !(1...100_000).contains(count) {
            throw ValidationError("\(name): expected 1 to 100000, got \(count).")
        }
        _ = try bootstrap.places()
    }

    func run() async throws {
        let output = common.logOutput()
        let logger = output.logger(label: "spegel", level: common.logLevel)
        try await StopSignals.run(Node(self, output: output, logger: logger), logger: logger)
    }
}
