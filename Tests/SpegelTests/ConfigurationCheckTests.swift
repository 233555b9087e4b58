import ArgumentParser
import ContainerdStore
import Files
import Glibc
import Monitoring
import NodeConfiguration
import StructuredText
import Testing

@testable import spegel

struct ConfigurationCheckTests {
    private typealias Reason = ConfigurationCheck.Reason

    private func file(_ text: String) throws -> ContainerdConfigurationFile? {
        let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        let path = base + "/spegel-test-\(UInt64.random(in: .min ... .max)).toml"
        try Files.replace(path, with: Array(text.utf8))
        defer { try? Files.remove(path) }
        return try .load(path)
    }

    private func setup(_ version: String, configPath: String? = nil, discards: Bool? = nil) -> ContainerdSetup {
        var setup = ContainerdSetup(version: version)
        setup.hasCRI = true
        setup.registryConfigPath = configPath
        setup.discardsUnpackedLayers = discards
        return setup
    }

    private func findings(
        _ setup: ContainerdSetup?,
        _ file: ContainerdConfigurationFile?
    ) -> ConfigurationCheck.Findings {
        ConfigurationCheck.Findings(
            socket: "/run/containerd/containerd.sock",
            setup: setup.map { .success($0) } ?? .failure(Reason("no listener")),
            place: SetupLookup.Place(path: "/etc/containerd/config.toml"),
            file: .success(file),
            registryConfigPath: "/etc/containerd/certs.d",
            mirrors: .success([MirroredFolder(name: "docker.io", hosts: ["http://127.0.0.1:5000"])])
        )
    }

    private func status(_ check: ConfigurationCheck) -> [String: String] {
        Dictionary(uniqueKeysWithValues: check.items.map { ($0.name, $0.status.rawValue) })
    }

    private func change(_ check: ConfigurationCheck, _ name: String) -> [String] {
        check.items.first { $0.name == name }?.change ?? []
    }

    @Test func anotherProgramAtTheMirrorIsAProblem() throws {
        var findings = findings(
            setup("1.7.0", configPath: "/etc/containerd/certs.d", discards: false),
            try file(Self.good2)
        )
        #expect(ConfigurationCheck(findings).isGood)
        findings.strangers = ["http://10.0.0.1:30020 (/v2/ answers with status 404)"]
        let check = ConfigurationCheck(findings)
        #expect(!check.isGood && status(check)["mirror-targets"] == "problem")
        #expect(change(check, "mirror-targets").joined().contains("service.registry.hostPort"))
    }

    private static let good2 = """
        version = 2
        [plugins."io.containerd.grpc.v1.cri".containerd]
        discard_unpacked_layers = false
        [plugins."io.containerd.grpc.v1.cri".registry]
        config_path = "/etc/containerd/certs.d"
        """
    private static let good3 = """
        version = 3
        [plugins.'io.containerd.cri.v1.images'.registry]
        config_path = "/etc/containerd/certs.d"
        """

    @Test func oneThatIsSetUpIsGood() throws {
        let old = setup("1.6.20", configPath: "/etc/containerd/certs.d", discards: false)
        #expect(ConfigurationCheck(findings(old, try file(Self.good2))).isGood)
        #expect(ConfigurationCheck(findings(setup("v2.1.4"), try file(Self.good3))).isGood)
        // From 2.2 on, the default is what is needed.
        let check = ConfigurationCheck(findings(setup("v2.2.0"), try file("version = 3")))
        #expect(check.isGood, "\(check.text)")
        #expect(check.text.hasSuffix("\ncontainerd is set up for sharing."))
    }

    @Test func saysWhatToChangeInTheFormOfTheFile() throws {
        let old = ConfigurationCheck(findings(setup("1.6.20", configPath: "", discards: true), try file("version = 2")))
        #expect(!old.isGood)
        #expect(
            change(old, "config_path") == [
                "Set in /etc/containerd/config.toml, and restart containerd:",
                "  [plugins.\"io.containerd.grpc.v1.cri\".registry]", "  config_path = \"/etc/containerd/certs.d\"",
            ]
        )
        #expect(
            change(old, "discard_unpacked_layers").dropFirst() == [
                "  [plugins.\"io.containerd.grpc.v1.cri\".containerd]", "  discard_unpacked_layers = false",
            ]
        )
        let new = ConfigurationCheck(findings(setup("v2.1.4"), try file("version = 3")))
        #expect(change(new, "config_path")[1] == "  [plugins.\"io.containerd.cri.v1.images\".registry]")
        // A file of version 2 is read by containerd 2.x as well.
        let mixed = ConfigurationCheck(findings(setup("v2.1.4"), try file("version = 2")))
        #expect(change(mixed, "config_path")[1] == "  [plugins.\"io.containerd.grpc.v1.cri\".registry]")
        // A table of the old name in a file of the new version has no effect.
        let stale = ConfigurationCheck(
            findings(setup("v2.1.4"), try file(Self.good2.replacing("version = 2", with: "version = 3")))
        )
        #expect(status(stale)["config_path"] == "problem")
    }

    @Test func aListOfFoldersIsReadByOlderContainerdsOnly() throws {
        let list = Self.good3.replacing("certs.d\"", with: "certs.d:/etc/docker/certs.d\"")
        #expect(ConfigurationCheck(findings(setup("v2.0.5"), try file(list))).isGood)
        let check = ConfigurationCheck(findings(setup("v2.1.9"), try file(list)))
        #expect(status(check)["config_path"] == "problem")
        #expect(change(check, "config_path")[2] == "  config_path = \"/etc/containerd/certs.d\"")
        let local = list + "\n[plugins.'io.containerd.cri.v1.images']\nuse_local_image_pull = true\n"
        #expect(ConfigurationCheck(findings(setup("v2.1.9"), try file(local))).isGood)
    }

    @Test func whatNoContainerdReadsIsWrongWithoutOneToo() throws {
        for text in [
            Self.good3.replacing("version = 3", with: "version = 9"),
            "disabled_plugins = ['io.containerd.grpc.v1.cri']\n" + Self.good2,
        ] {
            #expect(status(ConfigurationCheck(findings(nil, try file(text))))["config.toml"] == "problem", "\(text)")
        }
        // 1.6 takes version 3 for version 2, later ones refuse it.
        let old = try file(Self.good2.replacing("version = 2", with: "version = 3"))
        for (version, result) in [("1.6.20", "ok"), ("1.7.24", "problem")] {
            let running = setup(version, configPath: "/etc/containerd/certs.d", discards: false)
            #expect(status(ConfigurationCheck(findings(running, old)))["config.toml"] == result)
        }
        // containerd itself knows best.
        var dumped = findings(setup("v2.3.0"), try file(Self.good3.replacing("version = 3", with: "version = 4")))
        #expect(status(ConfigurationCheck(dumped))["config.toml"] == "problem")
        dumped.isDumped = true
        #expect(status(ConfigurationCheck(dumped))["config.toml"] == "ok")
    }

    @Test func registriesOfPodmanAreChecked() throws {
        let node = NodeFindings(
            mirrors: [NodeFindings.Mirror(url: "http://127.0.0.1:5000", reason: nil)],
            status: .failure(Reason("none")),
            clock: .synchronised
        )
        func check(_ state: Result<RegistriesState?, Reason>, isWritten: Bool? = nil) -> ConfigurationCheck {
            ConfigurationCheck(
                registries: state,
                folder: "/etc/containers/registries.conf.d",
                isWritten: isWritten,
                strangers: [],
                node: node
            )
        }
        let good = RegistriesState(mirrored: ["docker.io"], mirrors: ["http://127.0.0.1:5000"])
        #expect(check(.success(good)).isGood && check(.success(good), isWritten: true).isGood)
        #expect(check(.success(good)).text.hasSuffix("\npodman and CRI-O are set up for sharing."))
        let wrong = [
            check(.success(nil)), check(.success(good), isWritten: false), check(.failure(Reason("line 1"))),
            check(.success(RegistriesState(mirrored: ["docker.io"], replaced: ["quay.io"]))),
            check(.success(RegistriesState(mirrored: ["docker.io"], isEdited: true))),
        ]
        for check in wrong {
            #expect(!check.isGood && !change(check, "registries.conf").isEmpty)
            #expect(check.text.hasSuffix("\npodman and CRI-O are not set up for sharing, or the setup is unknown."))
        }
    }

    @Test func aContainerdThatIsOlderThanItsFileMustBeRestarted() throws {
        let running = setup("1.7.2", configPath: "", discards: true)
        let check = ConfigurationCheck(findings(running, try file(Self.good2)))
        #expect(change(check, "config_path") == ["Restart containerd."])
        #expect(change(check, "discard_unpacked_layers") == ["Restart containerd."])
    }

    @Test func withoutAFileTheDefaultsHold() throws {
        let new = ConfigurationCheck(findings(setup("v2.2.0"), nil))
        #expect(new.isGood, "\(new.text)")
        let old = ConfigurationCheck(findings(setup("v2.1.4"), nil))
        #expect(status(old)["config_path"] == "problem" && status(old)["config.toml"] == "ok")
        #expect(change(old, "config_path")[1] == "  [plugins.\"io.containerd.cri.v1.images\".registry]")
        // The oldest form has other names.
        let first = ConfigurationCheck(
            findings(setup("1.6.20", configPath: "", discards: true), try file("root = '/x'"))
        )
        #expect(change(first, "config_path")[1] == "  [plugins.\"cri\".registry]")
        #expect(change(first, "discard_unpacked_layers")[1] == "  [plugins.\"cri\".containerd]")
    }

    @Test func whatIsNotKnownIsNotGood() throws {
        var nothing = findings(nil, nil)
        nothing.place = nil
        nothing.file = .success(nil)
        let check = ConfigurationCheck(nothing)
        #expect(
            status(check) == [
                "containerd": "unknown", "config.toml": "unknown", "config_path": "unknown",
                "discard_unpacked_layers": "unknown", "snapshotter": "unknown", "hosts.toml": "ok",
            ]
        )
        // An old containerd tells all, but not where its file is.
        nothing.setup = .success(setup("1.6.20", configPath: "/etc/containerd/certs.d", discards: false))
        #expect(ConfigurationCheck(nothing).isGood)
        // The file alone says all but the version.
        let stopped = ConfigurationCheck(findings(nil, try file(Self.good3)))
        #expect(status(stopped)["config_path"] == "ok" && status(stopped)["containerd"] == "unknown")
        #expect(!stopped.isGood)
    }

    @Test func oldMirrorsAndMalformedFilesAreProblems() throws {
        let both =
            Self.good2 + "\n[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"docker.io\"]\nendpoint = []\n"
        let setup = setup("1.6.20", configPath: "/etc/containerd/certs.d", discards: false)
        #expect(status(ConfigurationCheck(findings(setup, try file(both))))["config.toml"] == "problem")
        var broken = findings(setup, nil)
        broken.file = .failure(Reason("line 2"))
        #expect(status(ConfigurationCheck(broken))["config.toml"] == "problem")
    }

    @Test func theFolderMustNameMirrors() throws {
        let setup = setup("1.6.20", configPath: "/etc/containerd/certs.d", discards: false)
        var findings = findings(setup, try file(Self.good2))
        findings.isWritten = false
        #expect(status(ConfigurationCheck(findings))["hosts.toml"] == "problem")
        findings.mirrors = .success([MirroredFolder(name: "x", hosts: [])])
        findings.isWritten = nil
        #expect(status(ConfigurationCheck(findings))["hosts.toml"] == "problem")
        findings.mirrors = .failure(Reason("line 1"))
        #expect(status(ConfigurationCheck(findings))["hosts.toml"] == "problem")
    }

    @Test func programsGetTheSame() throws {
        let check = ConfigurationCheck(findings(setup("v2.1.4"), try file(Self.good3)))
        let json = try JSONText.encode(check.document)
        #expect(json.hasPrefix(#"{"checks":[{"change":[],"found":"version v2.1.4"#) && json.hasSuffix(#"],"ok":true}"#))
        #expect(json.contains(#","name":"containerd","status":"ok"}"#))
    }

    @Test func theCommandLineIsChecked() throws {
        func parse(_ line: [String]) throws -> ConfigurationCommand {
            let arguments = try PreparedArguments(
                arguments: ["configuration"] + line,
                environment: [:],
                root: Spegel.self
            )
            return try #require(try Spegel.parseAsRoot(arguments.arguments) as? ConfigurationCommand)
        }
        #expect(try parse(["--check"]).check)
        #expect(try parse(["--check", "--output", "json"]).output == .json)
        for line in [
            [], ["--check", "--dry-run", "--mirror-targets=http://h"], ["--output=json", "--mirror-targets=http://h"],
            ["--check", "--mirror-targets=h"], ["--mirror-targets=http://h", "--mirrored-registries=_other"],
        ] {
            let error = try #require(throws: (any Error).self) { try parse(line) }
            #expect(Spegel.exitCode(for: error).rawValue == 64, "\(line)")
        }
    }

    @Test func allOthersMayBeNamedBesideSomeRegistries() throws {
        for name in ["_default", "*"] {
            let registries = try MirroredRegistries(["https://docker.io", name])
            #expect(registries.urls.map(\.description) == ["https://docker.io"] && registries.includesOthers)
        }
        #expect(try !MirroredRegistries(["https://docker.io"]).includesOthers)
        let command = try #require(
            try Spegel.parseAsRoot(["registry", "--mirrored-registries=https://docker.io,_default"]) as? RegistryCommand
        )
        #expect(try command.registryNames() == nil)
    }

    @Test func whatKeepsTheCRIPluginFromLoadingIsWrong() throws {
        let old = setup("1.6.20", configPath: "/etc/containerd/certs.d", discards: false)
        let mirrors = "\n[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"a\"]\nendpoint = []\n"
        let certificates = "\n[plugins.\"io.containerd.grpc.v1.cri\".registry.configs.\"a\".tls]\n"
        for added in [mirrors, certificates] {
            let check = ConfigurationCheck(findings(old, try file(Self.good2 + added)))
            #expect(status(check)["config.toml"] == "problem")
            #expect(change(check, "config.toml").first?.contains("in the same step") == true)
        }
        // containerd's own default has an empty table.
        let empty = "\n[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors]\n"
        #expect(ConfigurationCheck(findings(old, try file(Self.good2 + empty))).isGood)
        let unset = setup("1.6.20", configPath: "", discards: false)
        let advice = change(ConfigurationCheck(findings(unset, try file("version = 2" + mirrors))), "config_path")
        #expect(advice.last?.contains("[plugins.….registry.mirrors] in the same step") == true, "\(advice)")
    }

    @Test func namesOfVersion2DoNotCountWithoutAVersion() throws {
        let text = Self.good2.replacing("version = 2\n", with: "")
        #expect(status(ConfigurationCheck(findings(nil, try file(text))))["config_path"] == "problem")
    }

    @Test func aLazySnapshotterIsWrong() throws {
        let text = Self.good3 + "\n[plugins.'io.containerd.cri.v1.images']\nsnapshotter = "
        for (name, expected) in [("stargz", "problem"), ("other", "unknown"), ("zfs", "ok")] {
            let check = ConfigurationCheck(findings(setup("v2.1.4"), try file(text + "'\(name)'")))
            #expect(status(check)["snapshotter"] == expected)
        }
    }
}
