import ContainerdStore
import NodeConfiguration

/// The check of `spegel configuration --check`: all that must be true from the kubelet to a peer. Its input is what was
/// found, so that tests need no containerd.
struct ConfigurationCheck {
    /// The result for one setting.
    struct Item: Hashable, Encodable {
        enum Status: String, Encodable {
            case good = "ok"
            case problem
            case unknown

            /// The status for people.
            var words: String {
                switch self {
                case .good: "ok"
                case .problem: "wrong"
                case .unknown: "cannot tell"
                }
            }
        }

        var name: String
        var status: Status
        /// The value found, or the problem.
        var found: String
        /// The lines of advice.
        var change: [String] = []
    }

    /// The input of the check.
    struct Findings {
        var socket: String
        /// containerd's answers, or why there are none.
        var setup: Result<ContainerdSetup, Reason>
        /// The expected place of its configuration file.
        var place: SetupLookup.Place?
        /// The content of the file, `nil` if it does not exist, or why it cannot be read.
        var file: Result<ContainerdConfigurationFile?, Reason>
        /// The folder of the registry configuration.
        var registryConfigPath: String
        /// The hosts in the `hosts.toml` of each folder, or why they cannot be read.
        var mirrors: Result<[MirroredFolder], Reason>
        /// Whether the files are what the command would write; `nil` if no mirrors were given.
        var isWritten: Bool?
        /// The mirrors of this machine where another program answers, each with what gives it away.
        var strangers: [String] = []
        /// Why containerd cannot read its configuration file, in its own words.
        var refusal: String?
        /// Whether containerd itself has read the file.
        var isDumped = false
        /// The mirror and the node behind it; `nil` if they were not asked.
        var node: NodeFindings?
    }

    /// Why a finding is unknown.
    struct Reason: Error, Hashable {
        var text: String

        init(_ text: String) {
            self.text = text
        }

        init(_ error: any Error) {
            text = "\(error)"
        }
    }

    private(set) var items: [Item] = []
    /// What is checked, and its verb.
    private var subject = "containerd is"

    /// Whether all results are good. What only a running node tells may be unknown.
    var isGood: Bool {
        items.allSatisfy { $0.status == .good || $0.status == .unknown && Self.ofNode.contains($0.name) }
    }

    private static let ofNode: Set<String> = ["mirror", "peers", "clock", "identity"]

    init(items: [Item], subject: String) {
        self.items = items
        self.subject = subject
    }

    init(_ findings: Findings) {
        let running = try? findings.setup.get()
        let file = (try? findings.file.get()) ?? nil
        var setup = running ?? ContainerdSetup(version: "")
        if let file {
            SetupLookup.add(file, to: &setup)
        } else if findings.place != nil, case .success(.none) = findings.file {
            SetupLookup.add(.absent, to: &setup)
            // The advice is for a new file, in the newest version that this containerd reads.
            setup.configurationVersion = nil
        }

        items.append(Self.containerd(findings, file))
        items.append(Self.configuration(findings, file))
        let check = SetupCheck(
            setup,
            registryConfigPath: findings.registryConfigPath,
            folderProblem: nil,
            imagesWithoutLayers: 0
        )
        let path = findings.place?.path ?? SetupLookup.usualPath
        items.append(Self.configPath(check, running: running, file: file, path: path))
        items.append(Self.discarding(check, running: running, file: file, path: path))
        // A containerd that reports its other settings has no own value.
        let isKnown = check.setup.discardsUnpackedLayers != nil
        items.append(Self.snapshotter(check.setup, isKnown: isKnown, path))
        items.append(Self.mirrors(findings))
        if !findings.strangers.isEmpty { items.append(Self.strangers(findings.strangers)) }
        if let node = findings.node { items += Self.items(node) }
    }

    static func strangers(_ strangers: [String]) -> Item {
        Item(
            name: "mirror-targets",
            status: .problem,
            found: "another program answers: \(strangers.joined(separator: "; "))",
            change: [
                "Free the port, or choose another one. On Kubernetes a Service may have it as its node port:",
                "  take one outside of the range of node ports for service.registry.hostPort, such as 29020.",
            ]
        )
    }

    private static func containerd(_ findings: Findings, _ file: ContainerdConfigurationFile?) -> Item {
        switch findings.setup {
        case .success(let setup):
            var item = Item(
                name: "containerd",
                status: .good,
                found: "version \(setup.version), at \(findings.socket)"
            )
            guard !setup.hasCRI else { return item }
            item.status = .problem
            item.found += ", without its CRI plugin: it pulls for no kubelet"
            item.change = [
                file?.disablesCRI == true
                    ? "Remove cri from disabled_plugins in config.toml, and restart containerd."
                    : "Repair what 'journalctl -u containerd | grep -i cri' names, and restart containerd."
            ]
            return item
        case .failure(let reason):
            return Item(
                name: "containerd",
                status: .unknown,
                found: reason.text,
                change: ["Start containerd, or name its socket with --containerd-sock."]
            )
        }
    }

    private static func configuration(_ findings: Findings, _ file: ContainerdConfigurationFile?) -> Item {
        let name = "config.toml"
        guard let place = findings.place else {
            if let setup = try? findings.setup.get(), setup.registryConfigPath != nil,
                setup.discardsUnpackedLayers != nil
            {
                return Item(name: name, status: .good, found: "not read: containerd reports its settings")
            }
            return Item(
                name: name,
                status: .unknown,
                found: "its path is unknown",
                change: ["Name it with --containerd-config."]
            )
        }
        if case .failure(let reason) = findings.file {
            return Item(name: name, status: .problem, found: reason.text, change: ["Repair the file."])
        }
        guard let file else {
            return Item(name: name, status: .good, found: "\(place.path) does not exist: containerd uses its defaults")
        }
        let others = file.files.dropFirst()
        let imported = others.isEmpty ? "" : ", imports \(others.joined(separator: ", "))"
        var item = Item(name: name, status: .good, found: "\(place.path), version \(file.version)\(imported)")
        let version = (try? findings.setup.get())?.versionNumbers
        let isSet = file.registryConfigPath.map { !$0.isEmpty } ?? false
        if let refusal = findings.refusal {
            item.status = .problem
            item.found += "; containerd cannot read it: \(refusal)"
            item.change = ["Repair the file: 'containerd config dump' must succeed."]
        } else if file.hasByteOrderMark, version?.major ?? 2 >= 2 {
            item.status = .problem
            item.found += "; it begins with a byte order mark, with which containerd 2 does not start"
            item.change = ["Remove the mark: sed -i '1s/^\\xEF\\xBB\\xBF//' \(place.path)"]
        } else if isSet, file.hasOldMirrors {
            item.status = .problem
            item.found += "; it sets both config_path and registry.mirrors: containerd does not start its CRI plugin"
            item.change = [removal(file, version)]
        } else if isSet, file.hasOldCertificates, version?.major ?? 1 < 2 {
            item.status = .problem
            item.found += "; it sets both config_path and registry.configs: containerd does not start its CRI plugin"
            item.change = [removal(file, version)]
        } else if let problem = file.importProblem, !findings.isDumped {
            item.status = .problem
            item.found += "; it imports a file that containerd cannot read: \(problem)"
            item.change = ["Repair that file, or remove it: containerd does not start with it."]
        } else if file.version > 3, !findings.isDumped {
            item.status = .problem
            item.found += "; containerd reads no version above 3"
            item.change = ["Write the file in version 2: 'containerd config default' shows its form."]
        } else if file.disablesCRI, (try? findings.setup.get()) == nil {
            item.status = .problem
            item.found += "; it turns the CRI plugin off: containerd pulls for no kubelet"
            item.change = ["Remove cri from disabled_plugins, and restart containerd."]
        } else if file.version == 3, let version, version.major == 1, version.minor >= 7, !findings.isDumped {
            // 1.6 takes any version above 2 for 2.
            item.status = .problem
            item.found += "; containerd 1.7 reads only versions 1 and 2"
            item.change = ["Write the file in version 2: 'containerd config default' shows its form."]
        }
        return item
    }

    /// The advice on the older tables, which exclude `config_path`.
    private static func removal(_ file: ContainerdConfigurationFile, _ version: (major: Int, minor: Int)?) -> String {
        var tables: [String] = []
        if file.hasOldMirrors { tables.append("[plugins.….registry.mirrors]") }
        if file.hasOldCertificates { tables.append("[plugins.….registry.configs.….tls]") }
        return "Remove the tables \(tables.joined(separator: " and ")) in the same step, and move their content to "
            + "hosts.toml files: beside config_path they keep the CRI plugin from loading."
    }

    /// The snapshotters that unpack layers from the content store.
    private static let unpacking: Set<String> = [
        "overlayfs", "native", "btrfs", "zfs", "devmapper", "blockfile", "erofs",
    ]
    /// Those that fetch what they need by themselves.
    private static let lazy: Set<String> = ["stargz", "soci", "nydus", "overlaybd", "cvmfs-snapshotter", "gcfs"]

    private static func snapshotter(_ setup: ContainerdSetup, isKnown: Bool, _ path: String) -> Item {
        let name = "snapshotter"
        guard let found = setup.snapshotter else {
            guard isKnown else {
                return Item(
                    name: name,
                    status: .unknown,
                    found: "containerd does not report it",
                    change: ["Name its file with --containerd-config."]
                )
            }
            return Item(name: name, status: .good, found: "not set; the default is overlayfs")
        }
        if unpacking.contains(found) { return Item(name: name, status: .good, found: found) }
        let change = ["Set in \(path) a snapshotter that unpacks layers, such as overlayfs, and restart containerd."]
        guard lazy.contains(found) else {
            return Item(name: name, status: .unknown, found: "\(found): not known to this program", change: change)
        }
        return Item(
            name: name,
            status: .problem,
            found: "\(found) loads layers by itself, past the content store, so there are none to share",
            change: change
        )
    }

    private static func configPath(
        _ check: SetupCheck,
        running: ContainerdSetup?,
        file: ContainerdConfigurationFile?,
        path: String
    ) -> Item {
        let name = "config_path"
        let problem = check.problems.first {
            switch $0 {
            case .registryConfigPathMissing, .registryConfigPathDiffers: true
            default: false
            }
        }
        if let problem {
            let isSetInFile = file?.registryConfigPath?.split(separator: ":").contains(check.registryConfigPath[...])
            if running?.registryConfigPath != nil, isSetInFile == true {
                return Item(
                    name: name,
                    status: .problem,
                    found: "the file sets it, but containerd has been running since before",
                    change: ["Restart containerd."]
                )
            }
            var item = Item(
                name: name,
                status: .problem,
                found: check.description(problem),
                change: change(check.lines(problem), path)
            )
            if let file, file.hasOldMirrors || file.hasOldCertificates && check.setup.versionNumbers.major < 2 {
                item.change.append(removal(file, nil))
            }
            return item
        }
        if let found = check.setup.registryConfigPath {
            // Without an answer of containerd a file of version 3 says that it is 2.0 or later.
            let isNew = running.map { $0.versionNumbers >= (2, 1) } ?? ((file?.version ?? 0) >= 3)
            guard found.contains(":"), isNew, file?.pullsLocally != true else {
                return Item(name: name, status: .good, found: found)
            }
            return Item(
                name: name,
                status: .problem,
                found:
                    "\(found) is a list; containerd 2.1 and later expects a single folder",
                change: change(check.lines(.registryConfigPathDiffers(found: found)), path)
            )
        }
        guard check.setup.versionNumbers >= (2, 2), check.setup.discardsUnpackedLayers != nil else {
            return unknown(name, lines: check.lines(.registryConfigPathMissing), path)
        }
        return Item(name: name, status: .good, found: "not set; the default of this version is /etc/containerd/certs.d")
    }

    private static func discarding(
        _ check: SetupCheck,
        running: ContainerdSetup?,
        file: ContainerdConfigurationFile?,
        path: String
    ) -> Item {
        let name = "discard_unpacked_layers"
        switch check.setup.discardsUnpackedLayers {
        case false: return Item(name: name, status: .good, found: "false")
        case nil: return unknown(name, lines: check.lines(.layersAreDiscarded), path)
        default:
            if running?.discardsUnpackedLayers == true, file?.discardsUnpackedLayers == false {
                return Item(
                    name: name,
                    status: .problem,
                    found: "the file sets false, but containerd has been running since before",
                    change: ["Restart containerd."]
                )
            }
            return Item(
                name: name,
                status: .problem,
                found: check.description(.layersAreDiscarded),
                change: change(check.lines(.layersAreDiscarded), path)
            )
        }
    }

    private static func mirrors(_ findings: Findings) -> Item {
        let name = "hosts.toml"
        let write = "Run 'spegel configuration' without --check to write it; --dry-run shows the changes."
        switch findings.mirrors {
        case .failure(let reason):
            return Item(name: name, status: .problem, found: reason.text, change: ["Repair the file."])
        case .success(let folders):
            let mirrored = folders.filter { !$0.hosts.isEmpty || $0.problem != nil }
            guard !mirrored.isEmpty else {
                let found = "no folder of \(findings.registryConfigPath) names a mirror"
                return Item(name: name, status: .problem, found: found, change: [write])
            }
            let found = mirrored.map { "\($0.name): \($0.hosts.joined(separator: " "))" }.joined(separator: "; ")
            let problems = folders.compactMap(\.problem)
            if !problems.isEmpty {
                return Item(name: name, status: .problem, found: problems.joined(separator: "; "), change: [write])
            }
            if findings.isWritten == false {
                let text = "\(found); it differs from what these settings make"
                return Item(name: name, status: .problem, found: text, change: [write])
            }
            return Item(name: name, status: .good, found: found)
        }
    }

    private static func unknown(_ name: String, lines: [String], _ path: String) -> Item {
        Item(
            name: name,
            status: .unknown,
            found: "containerd does not report it, and its configuration file cannot be read",
            change: change(lines, path)
        )
    }

    /// The advice, with a table and its line on lines of their own.
    private static func change(_ lines: [String], _ path: String) -> [String] {
        let split = lines.flatMap { line -> [String] in
            guard let end = line.firstRange(of: "] ") else { return [line] }
            return ["  \(line[..<end.lowerBound])]", "  \(line[end.upperBound...])"]
        }
        return ["Set in \(path), and restart containerd:"] + split
    }

    /// The results for people.
    var text: String {
        let width = items.map(\.name.count).max() ?? 0
        let indent = String(repeating: " ", count: width + 15)
        let lines = items.flatMap { item in
            [item.status.words.padded(13) + item.name.padded(width + 2) + item.found]
                + item.change.map { indent + $0 }
        }
        let verdict =
            isGood
            ? "\(subject) set up for sharing." : "\(subject) not set up for sharing, or the setup is unknown."
        return (lines + [verdict]).joined(separator: "\n")
    }

    /// The document of `--output json`.
    struct Document: Encodable {
        var ok: Bool
        var checks: [Item]
    }

    /// The results for programs.
    var document: Document { Document(ok: isGood, checks: items) }
}
