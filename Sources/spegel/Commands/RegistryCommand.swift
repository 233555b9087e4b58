import ArgumentParser
import Monitoring
import OCI
import Registry

/// `spegel registry`: the node.
struct RegistryCommand: AsyncParsableCommand, SettableCommand {
    static let configuration = CommandConfiguration(
        commandName: "registry",
        abstract: "Run the node: serve what is held here, mirror what other nodes hold.",
        usage: "spegel registry [OPTION …]   (--help-hidden lists the rarer options too)",
        discussion: "Example: spegel registry --static-bootstrap-peers /ip4/10.0.0.1/tcp/5001"
    )

    static let settings =
        CommonOptions.settings + [
            "registry-addr", "router-addr", "metrics-addr", "data-dir", "zone", "store", "containerd-sock",
            "containerd-namespace", "containerd-content-path", "containerd-registry-config-path",
            "strict", "mirrored-registries", "registry-filters", "mirror-resolve-timeout", "mirror-resolve-retries",
            "mirror-connect-timeout", "mirror-head-timeout", "mirror-stall-timeout", "verify", "resolve-tags",
            "basic-auth-dir", "allow-from", "max-uploads", "max-uploads-per-peer",
            "max-downloads", "max-downloads-per-peer", "upload-rate", "download-rate", "tcp-congestion-control",
            "kademlia-prefix", "provider-ttl", "provider-refresh", "debug-web-enabled", "shutdown-grace",
        ] + BootstrapOptions.settings

    @OptionGroup(title: "Finding other nodes") var bootstrap: BootstrapOptions

    @Option(help: ArgumentHelp("Where containerd and other nodes ask.", valueName: "addr"))
    var registryAddr = ListenAddress(host: nil, port: 5000)

    @Option(help: ArgumentHelp("Where nodes reach the DHT (libp2p).", valueName: "addr"))
    var routerAddr = ListenAddress(host: nil, port: 5001)

    @Option(help: ArgumentHelp("Serves /metrics, health and /debug/.", valueName: "addr"))
    var metricsAddr = ListenAddress(host: nil, port: 9090)

    @Option(help: ArgumentHelp("Keeps the node's identity.", valueName: "dir"))
    var dataDir = "/var/lib/spegel"

    @Option(
        help: ArgumentHelp(
            "The zone that this node is in; content comes from nodes of the same zone first.",
            valueName: "name",
            visibility: .rare
        )
    )
    var zone: String?

    @Option(help: ArgumentHelp("Share this OCI image layout, not containerd's images.", valueName: "dir"))
    var store: String?

    @Option(help: ArgumentHelp("The socket.", valueName: "path"))
    var containerdSock = "/run/containerd/containerd.sock"

    @Option(
        help: ArgumentHelp("The namespace of containerd that holds the images.", valueName: "name", visibility: .rare)
    )
    var containerdNamespace = "k8s.io"

    @Option(
        help: ArgumentHelp(
            "The content folder of containerd; where it is absent, content is read through the socket.",
            valueName: "dir",
            visibility: .rare
        )
    )
    var containerdContentPath = "/var/lib/containerd/io.containerd.content.v1.content"

    @Option(
        help: ArgumentHelp(
            "The folder of containerd's registry configuration, to find out whether containerd looks there.",
            valueName: "dir",
            visibility: .rare
        )
    )
    var containerdRegistryConfigPath = "/etc/containerd/certs.d"

    @Option(
        help: ArgumentHelp(
            "Whether a containerd that is not set up for sharing ends the node.",
            valueName: "bool",
            visibility: .rare
        )
    )
    var strict = Switch(false)

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("The registries to mirror, as URLs; by default all.", valueName: "url")
    )
    var mirroredRegistries: [String] = []

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Images not to share, as REGISTRY/REPOSITORY[:TAG].", valueName: "regex")
    )
    var registryFilters: [String] = []

    @Option(help: ArgumentHelp("How long to look for a first holder.", valueName: "time"))
    var mirrorResolveTimeout = TimeSpan(.milliseconds(20), text: "20ms")

    @Option(
        help: ArgumentHelp(
            "How many of the nodes that hold something are asked however long it takes; others within 5 s.",
            valueName: "count",
            visibility: .rare
        )
    )
    var mirrorResolveRetries = 3

    @Option(
        help: ArgumentHelp(
            "How long a connection to another node may take before the next one is asked.",
            valueName: "time",
            visibility: .rare
        )
    )
    var mirrorConnectTimeout = TimeSpan(.milliseconds(200), text: "200ms")

    @Option(
        help: ArgumentHelp("How long it may take until it answers.", valueName: "time", visibility: .rare)
    )
    var mirrorHeadTimeout = TimeSpan(.seconds(2), text: "2s")

    @Option(
        help: ArgumentHelp(
            "How long it may send nothing in the middle of a blob.",
            valueName: "time",
            visibility: .rare
        )
    )
    var mirrorStallTimeout = TimeSpan(.seconds(2), text: "2s")

    @Option(
        help: ArgumentHelp(
            "When large content from other nodes is hashed on its way: auto (when there is reason to) or always.",
            valueName: "when",
            visibility: .rare
        )
    )
    var verify = VerificationMode.auto

    @Option(help: ArgumentHelp("Share tags too, not only digests.", valueName: "bool"))
    var resolveTags = Switch(true)

    @Option(
        help: ArgumentHelp(
            "Files username and password, which clients must know; by default \(CredentialFolder.standardPath), if there.",
            valueName: "dir"
        )
    )
    var basicAuthDir: String?

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            """
            Ranges of addresses (10.0.0.0/8, fd00::/8) that may ask for content, beside this node and the nodes that \
            it knows; all when none is given.
            """,
            valueName: "range",
            visibility: .rare
        )
    )
    var allowFrom: [String] = []

    @Option(
        help: ArgumentHelp(
            "How many blobs are sent to other nodes at a time; others wait.",
            valueName: "count",
            visibility: .rare
        )
    )
    var maxUploads = 256

    @Option(help: ArgumentHelp("How many of them to one node.", valueName: "count", visibility: .rare))
    var maxUploadsPerPeer = 64

    @Option(
        help: ArgumentHelp(
            "How many blobs are fetched from other nodes at a time; others wait.",
            valueName: "count",
            visibility: .rare
        )
    )
    var maxDownloads = 256

    @Option(help: ArgumentHelp("How many of them from one node.", valueName: "count", visibility: .rare))
    var maxDownloadsPerPeer = 64

    @Option(help: ArgumentHelp("At most sent to nodes a second: 100MB, 1Gbit; 0: any.", valueName: "rate"))
    var uploadRate: ByteRate?

    @Option(help: ArgumentHelp("At most fetched from nodes a second.", valueName: "rate"))
    var downloadRate: ByteRate?

    @Option(
        help: ArgumentHelp(
            """
            How TCP finds out how fast it may send content: reno, cubic or what the kernel has. By default the system's, \
            but for bbr, which only nodes get that are 1 ms and more away.
            """,
            valueName: "name",
            visibility: .rare
        )
    )
    var tcpCongestionControl: String?

    @Option(help: ArgumentHelp("The prefix of the DHT's protocol name.", valueName: "prefix", visibility: .rare))
    var kademliaPrefix = "/spegel"

    @Option(
        help: ArgumentHelp(
            "How long it holds that a node has a key, unless the node says so again.",
            valueName: "time",
            visibility: .rare
        )
    )
    var providerTtl = TimeSpan(.seconds(600), text: "10m")

    @Option(help: ArgumentHelp("How often this node says which keys it has.", valueName: "time", visibility: .rare))
    var providerRefresh = TimeSpan(.seconds(540), text: "9m")

    @Option(
        help: ArgumentHelp("Whether /debug/ is served on the metrics address.", valueName: "bool", visibility: .rare)
    )
    var debugWebEnabled = Switch(true)

    @Option(help: ArgumentHelp("How long transfers may go on after SIGTERM.", valueName: "time", visibility: .rare))
    var shutdownGrace = TimeSpan(.seconds(25), text: "25s")

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (1...100).contains(mirrorResolveRetries) else {
            throw ValidationError("--mirror-resolve-retries must be between 1 and 100, it is \(mirrorResolveRetries).")
        }
        guard mirrorResolveTimeout.duration > .zero else {
            throw ValidationError("--mirror-resolve-timeout must be more than 0, it is '\(mirrorResolveTimeout)'.")
        }
        let timeouts = [
            ("--mirror-connect-timeout", mirrorConnectTimeout), ("--mirror-head-timeout", mirrorHeadTimeout),
            ("--mirror-stall-timeout", mirrorStallTimeout),
        ]
        for (name, time) in timeouts where !(Duration.milliseconds(1)...Duration.seconds(60)).contains(time.duration) {
            throw ValidationError("\(name) must be between 1ms and 60s, it is '\(time)'.")
        }
        guard kademliaPrefix.hasPrefix("/"), !kademliaPrefix.hasSuffix("/"), kademliaPrefix.utf8.count <= 128 else {
            throw ValidationError("--kademlia-prefix must look like /spegel, it is '\(kademliaPrefix)'.")
        }
        guard (Duration.seconds(1)...Duration.seconds(86_400)).contains(providerTtl.duration) else {
            throw ValidationError("--provider-ttl must be between 1s and 24h, it is '\(providerTtl)'.")
        }
        guard providerRefresh.duration >= .milliseconds(100), providerRefresh.duration < providerTtl.duration else {
            throw ValidationError(
                "--provider-refresh must be at least 100ms and less than --provider-ttl (\(providerTtl)), it is "
                    + "'\(providerRefresh)'."
            )
        }
        if let name = tcpCongestionControl {
            // As long as the kernel's names may be.
            guard (1...15).contains(name.utf8.count), name.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
                throw ValidationError(
                    "--tcp-congestion-control must be a name such as reno or cubic, it is '\(name)'."
                )
            }
        }
        _ = try ownZone()
        _ = try contentFilter()
        _ = try allowedRanges()
        let limits = [
            ("--max-uploads", maxUploads), ("--max-uploads-per-peer", maxUploadsPerPeer),
            ("--max-downloads", maxDownloads), ("--max-downloads-per-peer", maxDownloadsPerPeer),
        ]
        for (name, count) in limits where !(1...100_000).contains(count) {
            throw ValidationError("\(name) must be between 1 and 100000, it is \(count).")
        }
        _ = try bootstrap.places()
    }

    func run() async throws {
        let output = common.logOutput()
        let logger = output.logger(label: "spegel", level: common.logLevel)
        try await StopSignals.run(Node(self, output: output, logger: logger), logger: logger)
    }
}
