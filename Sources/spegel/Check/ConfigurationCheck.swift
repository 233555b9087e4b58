import ContainerdStore
import NodeConfiguration

/// The check of `spegel configuration --check`: whether containerd asks the mirror, and keeps layers to share. Its input
/// is what was found, so that tests need no containerd.
struct ConfigurationCheck {
    /// The result for one setting.
    struct Item: Hashable, Encodable {
        enum Status: String, Encodable {
            case good = "ok"
            case problem
            case unknown
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

    /// Whether all results are good.
    var isGood: Bool { items.allSatisfy { $0.status == .good } }

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

        items.append(Self.containerd(findings))
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
        items.append(Self.mirrors(findings))
        if !findings.strangers.isEmpty { items.append(Self.strangers(findings)) }
    }

    private static func strangers(_ findings: Findings) -> Item {
        Item(
            name: "mirror-targets",
            status: .problem,
            found: "another program answers: \(findings.strangers.joined(separator: "; "))",
            change: [
                "Free the port, or choose another one. On Kubernetes a Service may have it as its node port:",
                "  take one outside of the range of node ports for service.registry.hostPort, such as 29020.",
            ]
        )
    }

    private static func containerd(_ findings: Findings) -> Item {
        switch findings.setup {
        case .success(let setup):
            let cri = setup.hasCRI ? "" : ", without its CRI plugin: it pulls for no kubelet"
            return Item(
                name: "containerd",
                status: .good,
                found: "version \(setup.version), at \(findings.socket)\(cri)"
            )
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
        if file.hasOldMirrors, file.registryConfigPath.map({ !$0.isEmpty }) == true {
            item.status = .problem
            item.found +=
                "; it sets both config_path and registry.mirrors: containerd does not start its CRI plugin"
            item.change = [
                "Remove the tables [plugins.….registry.mirrors], and move their content to hosts.toml files."
            ]
        }
        return item
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
            return Item(
                name: name,
                status: .problem,
                found: check.description(problem),
                change: change(check.lines(problem), path)
            )
        }
        if let found = check.setup.registryConfigPath {
            guard found.contains(":"), check.setup.versionNumbers >= (2, 1), file?.pullsLocally != true else {
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
            let mirrored = folders.filter { !$0.hosts.isEmpty }
            guard !mirrored.isEmpty else {
                let found = "no folder of \(findings.registryConfigPath) names a mirror"
                return Item(name: name, status: .problem, found: found, change: [write])
            }
            let found = mirrored.map { "\($0.name): \($0.hosts.joined(separator: " "))" }.joined(separator: "; ")
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
        let indent = String(repeating: " ", count: width + 11)
        let lines = items.flatMap { item in
            [item.status.rawValue.padded(9) + item.name.padded(width + 2) + item.found]
                + item.change.map { indent + $0 }
        }
        let verdict =
            isGood
            ? "containerd is set up for sharing." : "containerd is not set up for sharing, or its setup is unknown."
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
