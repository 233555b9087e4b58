import ArgumentParser
import HTTPClient
import Kubernetes
import Multiformats
import Routing

/// The ways in which a node finds its first peers.
enum BootstrapKind: String, CaseIterable {
    case `static`
    case dns
    case http
    case kubernetes

    /// The names, for messages.
    static var names: String { allCases.map(\.rawValue).joined(separator: ", ") }
}

/// A source of first peers, with its settings.
enum BootstrapSetting {
    case addresses([Multiaddr])
    case domain(String)
    /// Where this node serves its own addresses, and where a peer serves its; at least one of them.
    case http(address: ListenAddress?, url: HTTPURL?, tls: HTTPBootstrap.TLSFiles)
    case election(ElectionSetting)
}

/// An election over a Lease.
struct ElectionSetting {
    /// The file with the access to the API server, or `nil` for that of the pod.
    var kubeconfig: String?
    /// The namespace of the Lease, or `nil` for that of the access.
    var namespace: String?
    var name: String
    var timing: ElectionTiming
    /// The IP address where peers reach this node, if it is configured.
    var ip: IPAddress?
}

/// The flags for the discovery of peers.
struct BootstrapOptions: SettableOptions {
    static let settings: [Setting<Self>] = [
        Setting("bootstrap-kind", list: \.bootstrapKind),
        Setting("static-bootstrap-peers", list: \.staticBootstrapPeers),
        Setting("dns-bootstrap-domain", optional: \.dnsBootstrapDomain),
        Setting("http-bootstrap-addr", optional: \.httpBootstrapAddr),
        Setting("http-bootstrap-peer", optional: \.httpBootstrapPeer),
        Setting("http-bootstrap-url", optional: \.httpBootstrapUrl),
        Setting("http-bootstrap-cert-dir", optional: \.httpBootstrapCertDir),
        Setting("http-bootstrap-ca", optional: \.httpBootstrapCa),
        Setting("http-bootstrap-cert", optional: \.httpBootstrapCert),
        Setting("http-bootstrap-key", optional: \.httpBootstrapKey),
        Setting("kubeconfig", optional: \.kubeconfig),
        Setting("leader-election-namespace", optional: \.leaderElectionNamespace),
        Setting("leader-election-name", \.leaderElectionName),
        Setting("leader-election-lease-duration", \.leaderElectionLeaseDuration),
        Setting("leader-election-renew-deadline", \.leaderElectionRenewDeadline),
        Setting("leader-election-retry-period", \.leaderElectionRetryPeriod),
        Setting("pod-ip", optional: \.podIp),
    ]

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("static, dns, http, kubernetes; else as set below.", valueName: "kind")
    )
    var bootstrapKind: [String] = []

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Multiaddrs of peers, /ip4/10.0.0.1/tcp/5001[/p2p/ID].", valueName: "addr")
    )
    var staticBootstrapPeers: [String] = []

    @Option(help: ArgumentHelp("Name whose A and AAAA records are the nodes.", valueName: "name"))
    var dnsBootstrapDomain: String?

    @Option(
        help: ArgumentHelp(
            "Address where this node serves its own addresses, at /id.",
            valueName: "addr",
            visibility: .rare
        )
    )
    var httpBootstrapAddr: ListenAddress?

    @Option(
        help: ArgumentHelp(
            "URL where a peer serves its addresses, with or without /id: http://10.0.0.1:5002.",
            valueName: "url",
            visibility: .rare
        )
    )
    var httpBootstrapPeer: String?

    @Option(help: ArgumentHelp("Another name of --http-bootstrap-peer.", valueName: "url", visibility: .rare))
    var httpBootstrapUrl: String?

    @Option(
        help: ArgumentHelp(
            "Folder with ca.crt, tls.crt and tls.key for that URL, as far as they exist.",
            valueName: "path",
            visibility: .rare
        )
    )
    var httpBootstrapCertDir: String?

    @Option(
        help: ArgumentHelp(
            "CA certificate for that URL, PEM; default: the system's.",
            valueName: "path",
            visibility: .rare
        )
    )
    var httpBootstrapCa: String?

    @Option(help: ArgumentHelp("Client certificate for that URL, PEM.", valueName: "path", visibility: .rare))
    var httpBootstrapCert: String?

    @Option(help: ArgumentHelp("Key of the client certificate, PEM.", valueName: "path", visibility: .rare))
    var httpBootstrapKey: String?

    @Option(help: ArgumentHelp("Access to the API server; a pod needs none.", valueName: "path", visibility: .rare))
    var kubeconfig: String?

    @Option(
        help: ArgumentHelp(
            "Namespace of the Lease; default: the pod's own, or spegel.",
            valueName: "name",
            visibility: .rare
        )
    )
    var leaderElectionNamespace: String?

    @Option(help: ArgumentHelp("Name of the Lease.", valueName: "name", visibility: .rare))
    var leaderElectionName = "spegel-leader-election"

    @Option(
        help: ArgumentHelp("How long other nodes respect an unchanged Lease.", valueName: "time", visibility: .rare)
    )
    var leaderElectionLeaseDuration = TimeSpan(ElectionTiming().leaseDuration)

    @Option(
        help: ArgumentHelp("How long a leader that cannot renew keeps leading.", valueName: "time", visibility: .rare)
    )
    var leaderElectionRenewDeadline = TimeSpan(ElectionTiming().renewDeadline)

    @Option(help: ArgumentHelp("Time between two attempts.", valueName: "time", visibility: .rare))
    var leaderElectionRetryPeriod = TimeSpan(ElectionTiming().retryPeriod)

    @Option(
        help: ArgumentHelp(
            "IP address of this node in the Lease; default: that of an interface.",
            valueName: "ip",
            visibility: .rare
        )
    )
    var podIp: String?
}

extension BootstrapOptions {
    /// The sources of `--bootstrap-kind`, else those that have a setting. A node without any waits for peers.
    func places() throws -> [BootstrapSetting] {
        // A wrong address or name is an error even if no kind uses it.
        _ = try podAddress()
        try checkLeaseName()
        return try kinds().map { kind in
            switch kind {
            case .static: .addresses(try staticPeers())
            case .dns: .domain(try domain())
            case .http: try http()
            case .kubernetes: .election(try election())
            }
        }
    }

    private func kinds() throws -> [BootstrapKind] {
        let names = listItems(bootstrapKind)
        guard names.isEmpty else {
            var kinds: [BootstrapKind] = []
            for name in names {
                guard let kind = BootstrapKind(rawValue: name) else {
                    throw ValidationError("--bootstrap-kind: expected one of \(BootstrapKind.names), got '\(name)'.")
                }
                if !kinds.contains(kind) { kinds.append(kind) }
            }
            return kinds
        }
        var kinds: [BootstrapKind] = []
        if !listItems(staticBootstrapPeers).isEmpty { kinds.append(.static) }
        if dnsBootstrapDomain != nil { kinds.append(.dns) }
        if httpBootstrapPeer != nil || httpBootstrapUrl != nil || httpBootstrapAddr != nil { kinds.append(.http) }
        return kinds
    }

    private func staticPeers() throws -> [Multiaddr] {
        let peers = listItems(staticBootstrapPeers)
        guard !peers.isEmpty else {
            throw ValidationError("--bootstrap-kind=static needs --static-bootstrap-peers.")
        }
        return try peers.map(Self.peerAddress)
    }

    private func domain() throws -> String {
        guard let domain = dnsBootstrapDomain, !domain.isEmpty else {
            throw ValidationError("--bootstrap-kind=dns needs --dns-bootstrap-domain.")
        }
        return domain
    }

    private func http() throws -> BootstrapSetting {
        let url = try httpURL()
        guard url != nil || httpBootstrapAddr != nil else {
            throw ValidationError("--bootstrap-kind=http needs --http-bootstrap-peer or --http-bootstrap-addr.")
        }
        let files = [httpBootstrapCa, httpBootstrapCert, httpBootstrapKey]
        if files.contains(where: { $0 != nil }), url?.isSecure != true {
            throw ValidationError(
                "--http-bootstrap-ca, -cert and -key need an https URL in --http-bootstrap-peer."
            )
        }
        guard (httpBootstrapCert == nil) == (httpBootstrapKey == nil) else {
            throw ValidationError("--http-bootstrap-cert and --http-bootstrap-key need each other.")
        }
        let tls = HTTPBootstrap.TLSFiles(
            authority: httpBootstrapCa,
            certificate: httpBootstrapCert,
            key: httpBootstrapKey,
            folder: url?.isSecure == true ? httpBootstrapCertDir.flatMap { $0.isEmpty ? nil : $0 } : nil
        )
        return .http(address: httpBootstrapAddr, url: url, tls: tls)
    }

    private func httpURL() throws -> HTTPURL? {
        let given = [("--http-bootstrap-peer", httpBootstrapPeer), ("--http-bootstrap-url", httpBootstrapUrl)]
        let texts = given.compactMap { name, text in text.map { (name, $0) } }
        guard let (name, text) = texts.first else { return nil }
        if let (_, other) = texts.dropFirst().first, other != text {
            throw ValidationError(
                "--http-bootstrap-peer and --http-bootstrap-url: expected one URL, got '\(text)' and '\(other)'."
            )
        }
        guard let url = HTTPURL(text) else {
            throw ValidationError("\(name): expected a URL such as http://10.0.0.1:5002, got '\(text)'.")
        }
        return url
    }

    private func podAddress() throws -> IPAddress? {
        guard let podIp, !podIp.isEmpty else { return nil }
        do { return try IPAddress(podIp) } catch {
            throw ValidationError("--pod-ip: expected an IP address, got '\(podIp)'.")
        }
    }

    private func checkLeaseName() throws {
        guard LeaseName(namespace: leaderElectionNamespace ?? "default", name: leaderElectionName) != nil else {
            throw ValidationError(
                "--leader-election-namespace and --leader-election-name: expected lower-case letters, digits and dashes, got '\(leaderElectionNamespace ?? "")' and '\(leaderElectionName)'."
            )
        }
    }

    private func election() throws -> ElectionSetting {
        let timing = ElectionTiming(
            leaseDuration: leaderElectionLeaseDuration.duration,
            renewDeadline: leaderElectionRenewDeadline.duration,
            retryPeriod: leaderElectionRetryPeriod.duration
        )
        if let fault = timing.fault {
            throw ValidationError("--leader-election-lease-duration, -renew-deadline and -retry-period: \(fault).")
        }
        return ElectionSetting(
            kubeconfig: kubeconfig,
            namespace: leaderElectionNamespace,
            name: leaderElectionName,
            timing: timing,
            ip: try podAddress()
        )
    }

    private static func peerAddress(_ text: String) throws -> Multiaddr {
        let address: Multiaddr
        do {
            address = try Multiaddr(text)
        } catch {
            throw ValidationError("--static-bootstrap-peers: expected a multiaddr, got '\(text)': \(error).")
        }
        guard address.ipAddress != nil || address.host != nil, address.tcpPort != nil else {
            throw ValidationError(
                "--static-bootstrap-peers: expected a host and a TCP port, such as /ip4/10.0.0.1/tcp/5001, got '\(text)'."
            )
        }
        return address
    }
}
