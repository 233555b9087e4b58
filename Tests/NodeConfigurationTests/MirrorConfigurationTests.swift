import Files
import Glibc
import Logging
import TestSupport
import Testing

@testable import NodeConfiguration

@Suite("MirrorConfiguration")
struct MirrorConfigurationTests {
    private let folder: TemporaryFolder
    private let logger = Logger(label: "test")

    init() throws {
        folder = try TemporaryFolder()
    }

    private func configuration(_ registries: [String], prependExisting: Bool = false) throws -> MirrorConfiguration {
        MirrorConfiguration(
            registryConfigPath: folder.path,
            mirroredRegistries: try registries.map { try RegistryURL($0) },
            mirrorTargets: [try RegistryURL("http://127.0.0.1:30020")],
            prependExisting: prependExisting
        )
    }

    private static let mirror = """
        [host."http://127.0.0.1:30020"]
        capabilities = ["pull", "resolve"]
        dial_timeout = "200ms"

        """

    @Test("writes a folder for each registry, and creates the parent folder")
    func fresh() throws {
        try Files.remove(folder.path)
        let registries = ["https://docker.io", "http://registry.lab:5000", "https://ghcr.io"]
        let configuration = try configuration(registries)
        let report = try configuration.apply(logger: logger)
        #expect(report.written == ["docker.io/hosts.toml", "ghcr.io/hosts.toml", "registry.lab:5000/hosts.toml"])
        #expect(
            try folder.read("docker.io/hosts.toml") == "server = \"https://registry-1.docker.io\"\n\n" + Self.mirror
        )
        #expect(
            try folder.read("registry.lab:5000/hosts.toml") == "server = \"http://registry.lab:5000\"\n\n" + Self.mirror
        )
        #expect(try folder.read("ghcr.io/hosts.toml") == "server = \"https://ghcr.io\"\n\n" + Self.mirror)
        #expect(try Files.status(folder.path + "/ghcr.io/hosts.toml")?.mode == 0o644)
        #expect(try Files.names(in: folder.path + "/_backup") == [])
        #expect(try Files.names(in: folder.path)?.first == "_backup")
    }

    @Test("writes _default without a server for all registries")
    func all() throws {
        var configuration = try configuration([])
        configuration.resolveTags = false
        configuration.dialTimeout = nil
        try configuration.apply(logger: logger)
        let expected = "[host.\"http://127.0.0.1:30020\"]\ncapabilities = [\"pull\"]\n"
        #expect(try folder.read("_default/hosts.toml") == expected)
    }

    @Test("second run changes nothing; other settings give back what is no longer mirrored")
    func again() throws {
        try folder.write("server = \"https://mine\"\n", to: "docker.io/hosts.toml")
        try folder.write("too", to: "other/ca.crt")
        let docker = try configuration(["https://docker.io"])
        #expect(try docker.apply(logger: logger).backedUp == ["docker.io", "other"])
        let tree = try folder.tree()
        #expect(tree["docker.io/hosts.toml"] == "server = \"https://mine\"\n\n" + Self.mirror)
        #expect(tree["other/ca.crt"] == "too")
        #expect(tree["_backup/docker.io/hosts.toml"] == "server = \"https://mine\"\n")
        #expect(tree["_backup/other/ca.crt"] == "too")
        let second = try docker.apply(logger: logger)
        #expect(!second.isChange)
        #expect(second.unchanged == ["docker.io/hosts.toml"])
        #expect(try folder.tree() == tree)

        let third = try configuration(["https://ghcr.io"]).apply(logger: logger)
        #expect(third.written == ["ghcr.io/hosts.toml"])
        #expect(third.restored == ["docker.io/hosts.toml"])
        #expect(third.backedUp == [])
        #expect(try folder.read("docker.io/hosts.toml") == "server = \"https://mine\"\n")
        let fourth = try configuration(["https://docker.io"]).apply(logger: logger)
        #expect(fourth.removed == ["ghcr.io", "ghcr.io/hosts.toml"])
        #expect(try folder.tree() == tree)
    }

    @Test("a file in the place of a folder is the administrator's, and comes back")
    func inTheWay() throws {
        try folder.write("a file", to: "docker.io")
        let tree = try folder.tree()
        try configuration(["https://docker.io"]).apply(logger: logger)
        #expect(try folder.read("docker.io/hosts.toml")?.hasSuffix(Self.mirror) == true)
        #expect(try folder.read("_backup/docker.io") == "a file")
        try MirrorConfiguration.restore(path: folder.path, logger: logger)
        #expect(try folder.tree() == tree)
    }

    @Test("keeps existing hosts after the mirrors, with their files")
    func prepend() throws {
        let existing =
            "server = \"https://old\"\nca = \"ca.crt\"\n[header]\nx-a = \"b\"\n[host.\"https://z.lab\"]\nca = \"ca.crt\"\n[host.\"https://a.lab\"]\n"
        try folder.write(existing, to: "docker.io/hosts.toml", mode: 0o600)
        try folder.write("certificate", to: "docker.io/ca.crt", mode: 0o640)
        try folder.write("key", to: "docker.io/client/key.pem")
        try folder.write("[host.\"http://127.0.0.1:30020\"]\n", to: "registry.lab_5000_/hosts.toml")
        let registries = ["https://docker.io", "http://registry.lab:5000", "https://ghcr.io"]
        let configuration = try configuration(registries, prependExisting: true)
        try configuration.apply(logger: logger)
        let written = try folder.read("docker.io/hosts.toml")
        #expect(
            written == """
                server = "https://old"
                ca = "ca.crt"

                [header]
                x-a = "b"


                """ + Self.mirror + """

                    [host."https://z.lab"]
                    ca = "ca.crt"

                    [host."https://a.lab"]

                    """
        )
        #expect(try folder.read("docker.io/ca.crt") == "certificate")
        #expect(try Files.status(folder.path + "/docker.io/ca.crt")?.mode == 0o640)
        #expect(try Files.status(folder.path + "/docker.io/hosts.toml")?.mode == 0o600)
        #expect(try folder.read("docker.io/client/key.pem") == "key")
        // A host that is also a mirror must not be listed twice.
        #expect(
            try folder.read("registry.lab_5000_/hosts.toml") == "server = \"http://registry.lab:5000\"\n\n"
                + Self.mirror
        )
        let tree = try folder.tree()
        // From the backup this time.
        #expect(try !configuration.apply(logger: logger).isChange)
        #expect(try folder.tree() == tree)
    }

    @Test("writes some registries and all others, with several mirrors")
    func others() throws {
        try folder.write("[host.\"https://corp.lab\"]\nskip_verify = true\n", to: "_default/hosts.toml")
        var configuration = try configuration(["https://docker.io"], prependExisting: true)
        configuration.mirrorsOthers = true
        configuration.mirrorTargets.append(try RegistryURL("http://127.0.0.1:30021"))
        configuration.dialTimeout = .zero
        try configuration.apply(logger: logger)
        let mirrors = """
            [host."http://127.0.0.1:30020"]
            capabilities = ["pull", "resolve"]

            [host."http://127.0.0.1:30021"]
            capabilities = ["pull", "resolve"]

            """
        // Until now Docker Hub had the hosts of all others.
        #expect(
            try folder.read("docker.io/hosts.toml") == "server = \"https://registry-1.docker.io\"\n\n" + mirrors
                + "\n[host.\"https://corp.lab\"]\nskip_verify = true\n"
        )
        #expect(
            try folder.read("_default/hosts.toml") == mirrors
                + "\n[host.\"https://corp.lab\"]\nskip_verify = true\n"
        )
        #expect(
            try MirroredFolder.read(folder.path) == [
                MirroredFolder(
                    name: "_default",
                    hosts: ["http://127.0.0.1:30020", "http://127.0.0.1:30021", "https://corp.lab"]
                ),
                MirroredFolder(
                    name: "docker.io",
                    hosts: ["http://127.0.0.1:30020", "http://127.0.0.1:30021", "https://corp.lab"]
                ),
            ]
        )
    }

    @Test("writes credentials for mirrors only, readable by the owner only")
    func credentials() throws {
        try folder.write("[host.\"https://z.lab\"]\n", to: "docker.io/hosts.toml", mode: 0o644)
        var configuration = try configuration(["https://docker.io", "https://ghcr.io"], prependExisting: true)
        try configuration.apply(logger: logger)
        #expect(try Files.status(folder.path + "/ghcr.io/hosts.toml")?.mode == 0o644)
        configuration.authorization = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        try configuration.apply(logger: logger)
        let mirror =
            Self.mirror + """

                [host."http://127.0.0.1:30020".header]
                Authorization = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="

                """
        #expect(try folder.read("ghcr.io/hosts.toml") == "server = \"https://ghcr.io\"\n\n" + mirror)
        #expect(
            try folder.read("docker.io/hosts.toml") == "server = \"https://registry-1.docker.io\"\n\n" + mirror
                + "\n[host.\"https://z.lab\"]\n"
        )
        for name in ["docker.io", "ghcr.io"] {
            #expect(try Files.status("\(folder.path)/\(name)/hosts.toml")?.mode == 0o600)
        }
        #expect(try !configuration.apply(logger: logger).isChange)
    }

    @Test("preview lists all changes without making any")
    func preview() throws {
        try folder.write("[host.\"https://z.lab\"]\nca = \"ca.crt\"\n", to: "docker.io/hosts.toml")
        try folder.write("certificate\n", to: "docker.io/ca.crt")
        try folder.write("mine", to: "other/hosts.toml")
        let tree = try folder.tree()
        var configuration = try configuration(["https://docker.io"], prependExisting: true)
        let preview = try configuration.preview()
        #expect(preview.backedUp == ["docker.io", "other"])
        #expect(preview.changes.map(\.name) == ["docker.io/hosts.toml"])
        #expect(
            preview.text(isColoured: false) == """
                Kept in _backup: docker.io, other
                --- a/docker.io/hosts.toml
                +++ b/docker.io/hosts.toml
                @@ -1,2 +1,8 @@
                +server = "https://registry-1.docker.io"
                +
                +[host."http://127.0.0.1:30020"]
                +capabilities = ["pull", "resolve"]
                +dial_timeout = "200ms"
                +
                 [host."https://z.lab"]
                 ca = "ca.crt"

                """
        )
        #expect(try folder.tree() == tree)
        try configuration.apply(logger: logger)
        #expect(try !configuration.preview().isChange)
        #expect(try configuration.preview().text(isColoured: false) == "Nothing would change.\n")

        configuration.authorization = "Basic x"
        let secret = try configuration.preview().text(isColoured: false)
        #expect(secret.contains("Mode of docker.io/hosts.toml: 0644 -> 0600\n"))
        #expect(secret.contains("+Authorization = \"(secret)\"\n"))
        try folder.write("\u{0}", to: "docker.io/x")
        #expect(try configuration.preview().backedUp == ["docker.io/x"])
    }

    @Test("preview of a missing folder, and of invalid settings")
    func previewOfNothing() throws {
        var configuration = try configuration([])
        configuration.registryConfigPath += "/missing"
        #expect(try configuration.preview().changes.map(\.name) == ["_default/hosts.toml"])
        #expect(try Files.status(configuration.registryConfigPath) == nil)
        configuration.mirrorTargets = []
        #expect(throws: NodeConfigurationError.missingMirrorTarget) { try configuration.preview() }
    }

    @Test("malformed existing file changes nothing")
    func malformed() throws {
        try folder.write("server = \"x\"\n[host", to: "docker.io/hosts.toml")
        try folder.write("x", to: "other")
        let tree = try folder.tree()
        let configuration = try configuration(["https://ghcr.io", "https://docker.io"], prependExisting: true)
        do {
            try configuration.apply(logger: logger)
            Issue.record("taken")
        } catch {
            #expect("\(error)".hasPrefix("\(folder.path)/docker.io/hosts.toml, line 2: "))
        }
        #expect(try folder.tree() == tree)
    }

    @Test("contradictory settings change nothing")
    func contradictions() throws {
        let docker = try RegistryURL("https://docker.io")
        let other = try RegistryURL("http://docker.io")
        let mirror = try RegistryURL("http://127.0.0.1:30020")
        let cases: [(MirrorConfiguration, NodeConfigurationError)] = [
            (.init(registryConfigPath: "", mirroredRegistries: [], mirrorTargets: [mirror]), .missingConfigPath),
            (.init(registryConfigPath: folder.path, mirroredRegistries: [], mirrorTargets: []), .missingMirrorTarget),
            (
                .init(registryConfigPath: folder.path, mirroredRegistries: [], mirrorTargets: [mirror, mirror]),
                .duplicateMirrorTarget(mirror)
            ),
            (
                .init(registryConfigPath: folder.path, mirroredRegistries: [docker, other], mirrorTargets: [mirror]),
                .duplicateRegistry(other)
            ),
        ]
        for (configuration, error) in cases {
            #expect(throws: error) { try configuration.apply(logger: logger) }
        }
        #expect(try folder.tree() == [:])
    }

    @Test("restores the previous state; does nothing twice or without a backup")
    func restore() throws {
        #expect(try !MirrorConfiguration.restore(path: folder.path, logger: logger).isChange)
        #expect(try !MirrorConfiguration.restore(path: folder.path + "/missing", logger: logger).isChange)
        try folder.write("server = \"https://mine\"\n", to: "docker.io/hosts.toml", mode: 0o600)
        try folder.write("too", to: "file")
        #expect(symlink("docker.io", folder.path + "/link") == 0)
        let tree = try folder.tree()
        try configuration(["https://docker.io"]).apply(logger: logger)
        #expect(try folder.tree() != tree)
        let report = try MirrorConfiguration.restore(path: folder.path, logger: logger)
        #expect(report.restored == ["docker.io/hosts.toml"])
        #expect(report.removed == [])
        #expect(try folder.tree() == tree)
        #expect(try Files.status(folder.path + "/docker.io/hosts.toml")?.mode == 0o600)
        #expect(try Files.status(folder.path + "/link")?.kind == .link)
        #expect(try !MirrorConfiguration.restore(path: folder.path, logger: logger).isChange)
    }

    @Test("reports unknown states of the backup")
    func strangeStates() throws {
        let configuration = try configuration(["https://docker.io"])
        try folder.write("x", to: "_backup")
        #expect(throws: NodeConfigurationError.backupIsNoFolder(path: folder.path + "/_backup")) {
            try configuration.apply(logger: logger)
        }
        try Files.remove(folder.path + "/_backup")
        try folder.write("x", to: "_backup/a")
        try folder.write("x", to: "_backup.moving/b")
        let tree = try folder.tree()
        #expect(throws: NodeConfigurationError.self) { try configuration.apply(logger: logger) }
        #expect(throws: NodeConfigurationError.self) {
            try MirrorConfiguration.restore(path: folder.path, logger: logger)
        }
        #expect(try folder.tree() == tree)
    }

    @Test("keeps an entry that reappeared during a move")
    func conflict() throws {
        try folder.write("old", to: "_backup.moving/docker.io/hosts.toml")
        try folder.write("new", to: "docker.io/hosts.toml")
        let tree = try folder.tree()
        #expect(throws: NodeConfigurationError.self) { try configuration([]).apply(logger: logger) }
        #expect(try folder.tree() == tree)
    }
}
