import Files
import Glibc
import Logging
import TestSupport
import Testing

@testable import NodeConfiguration

/// What an administrator adds, edits or removes between two runs.
@Suite("Changes since the last run")
struct AdministratorsChangesTests {
    private let folder: TemporaryFolder
    private let logger = Logger(label: "test")
    private static let mirror = """
        [host."http://127.0.0.1:30020"]
        capabilities = ["pull", "resolve"]

        """

    init() throws {
        folder = try TemporaryFolder()
    }

    private func configuration(_ registries: [String] = [], prependExisting: Bool = true) throws
        -> MirrorConfiguration
    {
        MirrorConfiguration(
            registryConfigPath: folder.path,
            mirroredRegistries: try registries.map { try RegistryURL($0) },
            mirrorTargets: [try RegistryURL("http://127.0.0.1:30020")],
            prependExisting: prependExisting,
            dialTimeout: nil
        )
    }

    private func restore() throws {
        try MirrorConfiguration.restore(path: folder.path, logger: logger)
    }

    @Test("additions are in force at once, behind the mirror after the next run, and stay after clean-up")
    func additions() throws {
        try configuration().apply(logger: logger)
        try folder.write("server = \"https://new.corp:5000\"\nca = \"ca.crt\"\n", to: "new.corp:5000/hosts.toml")
        try folder.write("certificate", to: "new.corp:5000/ca.crt")
        try folder.write("certificate", to: "_default/ca.crt")
        try folder.write("text", to: "notes")
        let report = try configuration().apply(logger: logger)
        #expect(
            report.takenOver == ["_default/ca.crt", "new.corp:5000/ca.crt", "new.corp:5000/hosts.toml", "notes"]
        )
        #expect(
            try folder.read("new.corp:5000/hosts.toml")
                == "server = \"https://new.corp:5000\"\nca = \"ca.crt\"\n\n" + Self.mirror
        )
        #expect(try !configuration().apply(logger: logger).isChange)
        try restore()
        #expect(
            try folder.tree() == [
                "_default/": "", "_default/ca.crt": "certificate", "new.corp:5000/": "", "notes": "text",
                "new.corp:5000/ca.crt": "certificate",
                "new.corp:5000/hosts.toml": "server = \"https://new.corp:5000\"\nca = \"ca.crt\"\n",
            ]
        )
    }

    @Test("additions stay when clean-up follows without another run")
    func additionsBeforeCleanup() throws {
        try folder.write("server = \"https://x\"\n", to: "docker.io/hosts.toml")
        try configuration().apply(logger: logger)
        try folder.write("certificate", to: "docker.io/ca.crt")
        try folder.write("server = \"https://y\"\n", to: "ghcr.io/hosts.toml")
        try restore()
        #expect(
            try folder.tree() == [
                "docker.io/": "", "docker.io/hosts.toml": "server = \"https://x\"\n", "docker.io/ca.crt": "certificate",
                "ghcr.io/": "", "ghcr.io/hosts.toml": "server = \"https://y\"\n",
            ]
        )
    }

    @Test("edits of a written file are kept without the mirror", arguments: [true, false])
    func edits(runsAgain: Bool) throws {
        try folder.write("server = \"https://x\"\n", to: "docker.io/hosts.toml", mode: 0o640)
        try configuration().apply(logger: logger)
        let written = try #require(try folder.read("docker.io/hosts.toml"))
        try folder.write(
            written + "\n# backup mirror\n[host.\"https://z.lab\"]\n",
            to: "docker.io/hosts.toml",
            mode: 0o600
        )
        if runsAgain {
            #expect(try configuration().apply(logger: logger).takenOver == ["docker.io/hosts.toml"])
            #expect(
                try folder.read("docker.io/hosts.toml")
                    == "server = \"https://x\"\n\n" + Self.mirror + "\n[host.\"https://z.lab\"]\n"
            )
            #expect(try !configuration().apply(logger: logger).isChange)
        }
        try restore()
        let kept = try #require(try folder.read("docker.io/hosts.toml"))
        #expect(kept.hasPrefix("server = \"https://x\"\n") && kept.hasSuffix("[host.\"https://z.lab\"]\n"))
        #expect(!kept.contains("30020"))
        #expect(try Files.status(folder.path + "/docker.io/hosts.toml")?.mode == 0o600)
    }

    @Test("a written file that was replaced by another one is taken over")
    func replacement() throws {
        try folder.write("server = \"https://old\"\n", to: "docker.io/hosts.toml")
        try configuration().apply(logger: logger)
        try folder.write("server = \"https://new\"\n", to: "docker.io/hosts.toml")
        try configuration().apply(logger: logger)
        #expect(try folder.read("docker.io/hosts.toml") == "server = \"https://new\"\n\n" + Self.mirror)
        try restore()
        #expect(try folder.read("docker.io/hosts.toml") == "server = \"https://new\"\n")
    }

    @Test("what was removed stays removed; a written file comes back while installed")
    func removals() throws {
        for name in ["docker.io", "ghcr.io", "quay.io"] {
            try folder.write("server = \"https://\(name)\"\n", to: "\(name)/hosts.toml")
            try folder.write("certificate", to: "\(name)/ca.crt")
        }
        let docker = try configuration(["https://docker.io", "https://quay.io"])
        try docker.apply(logger: logger)
        try Files.remove(folder.path + "/ghcr.io")
        try Files.remove(folder.path + "/quay.io")
        try Files.remove(folder.path + "/docker.io/ca.crt")
        try docker.apply(logger: logger)
        #expect(try Files.names(in: folder.path + "/docker.io") == ["hosts.toml"])
        #expect(try Files.names(in: folder.path + "/quay.io") == ["ca.crt", "hosts.toml"])
        #expect(try Files.names(in: folder.path + "/_backup") == ["docker.io", "quay.io"])
        try restore()
        #expect(try Files.names(in: folder.path) == ["docker.io", "quay.io"])
        #expect(try Files.names(in: folder.path + "/docker.io") == ["hosts.toml"])
    }

    @Test("clean-up without a backup removes what the manifest lists, and nothing else")
    func lostBackup() throws {
        try configuration(["https://docker.io"]).apply(logger: logger)
        try folder.write("server = \"https://x\"\n", to: "ghcr.io/hosts.toml")
        try Files.remove(folder.path + "/_backup")
        try restore()
        #expect(try folder.tree() == ["ghcr.io/": "", "ghcr.io/hosts.toml": "server = \"https://x\"\n"])
    }

    // MARK: Versions without a manifest

    private static let go = """
        server = 'https://docker.io'

        [host.'http://10.0.0.1:30020']
        capabilities = ['pull', 'resolve']
        dial_timeout = '200ms'

        """

    @Test("takes over from a version without a manifest", arguments: [true, false])
    func legacy(cleansUpOnly: Bool) throws {
        try folder.write("server = \"https://x\"\n", to: "_backup/docker.io/hosts.toml")
        try folder.write("certificate", to: "_backup/ghcr.io_443_/ca.crt")
        try folder.write("server = \"https://z\"\n", to: "_backup/quay.io/hosts.toml")
        try folder.write(Self.go, to: "docker.io/hosts.toml")
        try folder.write(Self.go, to: "ghcr.io:443/hosts.toml")
        try folder.write("certificate", to: "ghcr.io:443/ca.crt")
        try folder.write(Self.go, to: "_default/hosts.toml")
        // Added since that version last ran.
        try folder.write("[host.\"https://y.lab\"]\n", to: "new.corp/hosts.toml")
        if !cleansUpOnly {
            try configuration().apply(logger: logger)
            #expect(try folder.read("docker.io/hosts.toml") == "server = \"https://x\"\n\n" + Self.mirror)
            #expect(try folder.read("quay.io/hosts.toml") == "server = \"https://z\"\n\n" + Self.mirror)
            #expect(try folder.read("new.corp/hosts.toml") == Self.mirror + "\n[host.\"https://y.lab\"]\n")
            #expect(try Files.names(in: folder.path + "/ghcr.io_443_") == ["ca.crt", "hosts.toml"])
            #expect(try Files.status(folder.path + "/ghcr.io:443") == nil)
        }
        try restore()
        #expect(
            try folder.tree() == [
                "docker.io/": "", "docker.io/hosts.toml": "server = \"https://x\"\n", "ghcr.io_443_/": "",
                "ghcr.io_443_/ca.crt": "certificate", "quay.io/": "", "quay.io/hosts.toml": "server = \"https://z\"\n",
                "new.corp/": "", "new.corp/hosts.toml": "[host.\"https://y.lab\"]\n",
            ]
        )
    }

    @Test("a version without a manifest in between loses nothing")
    func downgrade() throws {
        try folder.write("server = \"https://x\"\n", to: "docker.io/hosts.toml")
        try folder.write("server = \"https://y\"\n", to: "ghcr.io/hosts.toml")
        let tree = try folder.tree()
        let configuration = try configuration(["https://docker.io"])
        try configuration.apply(logger: logger)
        // Such a version removes all that it does not write itself.
        try Files.remove(folder.path + "/ghcr.io")
        try Files.remove(folder.path + "/_backup.manifest")
        try folder.write(Self.go, to: "docker.io/hosts.toml")
        try configuration.apply(logger: logger)
        #expect(try folder.read("ghcr.io/hosts.toml") == "server = \"https://y\"\n")
        try restore()
        #expect(try folder.tree() == tree)
    }
}
