import Files
import Glibc
import Logging
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

    @Test("writes a folder for each registry, and makes the folder above")
    func fresh() throws {
        try Files.remove(folder.path)
        let registries = ["https://docker.io", "http://registry.lab:5000", "https://ghcr.io"]
        let configuration = try configuration(registries)
        let report = try configuration.apply(logger: logger)
        #expect(report.written == ["docker.io/hosts.toml", "registry.lab:5000/hosts.toml", "ghcr.io/hosts.toml"])
        #expect(
            try folder.read("docker.io/hosts.toml") == "server = \"https://registry-1.docker.io\"\n\n" + Self.mirror
        )
        #expect(
            try folder.read("registry.lab:5000/hosts.toml") == "server = \"http://registry.lab:5000\"\n\n" + Self.mirror
        )
        #expect(try folder.read("ghcr.io/hosts.toml") == "server = \"https://ghcr.io\"\n\n" + Self.mirror)
        #expect(try Files.status(folder.path + "/ghcr.io/hosts.toml")?.mode == 0o644)
        #expect(try Files.names(in: folder.path + "/_backup") == [])
    }

    @Test("all registries are _default, without a server")
    func all() throws {
        var configuration = try configuration([])
        configuration.resolveTags = false
        configuration.dialTimeout = nil
        try configuration.apply(logger: logger)
        let expected = "[host.\"http://127.0.0.1:30020\"]\ncapabilities = [\"pull\"]\n"
        #expect(try folder.read("_default/hosts.toml") == expected)
    }

    @Test("a second time changes nothing; other settings replace all but the backup")
    func again() throws {
        try folder.write("mine", to: "docker.io/hosts.toml")
        try folder.write("too", to: "other/ca.crt")
        let docker = try configuration(["https://docker.io"])
        #expect(try docker.apply(logger: logger).backedUp == ["docker.io", "other"])
        let tree = try folder.tree()
        #expect(tree["_backup/docker.io/hosts.toml"] == "mine")
        #expect(tree["_backup/other/ca.crt"] == "too")
        let second = try docker.apply(logger: logger)
        #expect(!second.isChange)
        #expect(second.unchanged == ["docker.io/hosts.toml"])
        #expect(try folder.tree() == tree)

        try folder.write("leftover", to: "docker.io/.tmp-1")
        try folder.write("stray", to: "file")
        let third = try configuration(["https://ghcr.io"]).apply(logger: logger)
        #expect(third.removed == ["docker.io", "file"])
        #expect(third.backedUp == [])
        #expect(try folder.read("_backup/docker.io/hosts.toml") == "mine")
        #expect(try Files.names(in: folder.path) == ["_backup", "ghcr.io"])
    }

    @Test("what stands in the way of a file or folder is replaced")
    func inTheWay() throws {
        let configuration = try configuration(["https://docker.io"])
        try configuration.apply(logger: logger)
        let tree = try folder.tree()
        try Files.remove(folder.path + "/docker.io")
        try folder.write("a file", to: "docker.io")
        try configuration.apply(logger: logger)
        #expect(try folder.tree() == tree)
        try Files.remove(folder.path + "/docker.io/hosts.toml")
        try folder.write("x", to: "docker.io/hosts.toml/x")
        try configuration.apply(logger: logger)
        #expect(try folder.tree() == tree)
    }

    @Test("existing hosts stay after the mirrors, with the files that they need")
    func prepend() throws {
        let existing = "server = \"https://old\"\n[host.\"https://z.lab\"]\nca = \"ca.crt\"\n[host.\"https://a.lab\"]\n"
        try folder.write(existing, to: "docker.io/hosts.toml", mode: 0o600)
        try folder.write("certificate", to: "docker.io/ca.crt", mode: 0o640)
        try folder.write("key", to: "docker.io/client/key.pem")
        try folder.write("[host.\"http://127.0.0.1:30020\"]\n", to: "registry.lab_5000_/hosts.toml")
        let registries = ["https://docker.io", "http://registry.lab:5000", "https://ghcr.io"]
        let configuration = try configuration(registries, prependExisting: true)
        try configuration.apply(logger: logger)
        let written = try folder.read("docker.io/hosts.toml")
        #expect(
            written == "server = \"https://registry-1.docker.io\"\n\n" + Self.mirror + """

                [host."https://z.lab"]
                ca = "ca.crt"

                [host."https://a.lab"]

                """
        )
        #expect(try folder.read("docker.io/ca.crt") == "certificate")
        #expect(try Files.status(folder.path + "/docker.io/ca.crt")?.mode == 0o640)
        #expect(try Files.status(folder.path + "/docker.io/hosts.toml")?.mode == 0o600)
        #expect(try folder.read("docker.io/client/key.pem") == "key")
        // A host that is a mirror anyway must not be there twice.
        #expect(
            try folder.read("registry.lab:5000/hosts.toml") == "server = \"http://registry.lab:5000\"\n\n" + Self.mirror
        )
        let tree = try folder.tree()
        // From the backup this time.
        #expect(try !configuration.apply(logger: logger).isChange)
        #expect(try folder.tree() == tree)
    }

    @Test("an existing file that cannot be understood changes nothing")
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

    @Test("settings that contradict themselves change nothing")
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

    @Test("restore puts back what was there, and does nothing twice or without a backup")
    func restore() throws {
        #expect(try !MirrorConfiguration.restore(path: folder.path, logger: logger).isChange)
        #expect(try !MirrorConfiguration.restore(path: folder.path + "/missing", logger: logger).isChange)
        try folder.write("mine", to: "docker.io/hosts.toml", mode: 0o600)
        try folder.write("too", to: "file")
        #expect(symlink("docker.io", folder.path + "/link") == 0)
        let tree = try folder.tree()
        try configuration(["https://docker.io"]).apply(logger: logger)
        #expect(try folder.tree() != tree)
        let report = try MirrorConfiguration.restore(path: folder.path, logger: logger)
        #expect(report.restored == ["docker.io", "file", "link"])
        #expect(report.removed == ["docker.io"])
        #expect(try folder.tree() == tree)
        #expect(try Files.status(folder.path + "/docker.io/hosts.toml")?.mode == 0o600)
        #expect(try Files.status(folder.path + "/link")?.kind == .link)
        #expect(try !MirrorConfiguration.restore(path: folder.path, logger: logger).isChange)
    }

    @Test("states that this program does not make are told, not guessed at")
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

    @Test("an entry that came back in the middle of a move is not written over")
    func conflict() throws {
        try folder.write("old", to: "_backup.moving/docker.io/hosts.toml")
        try folder.write("new", to: "docker.io/hosts.toml")
        let tree = try folder.tree()
        #expect(throws: NodeConfigurationError.self) { try configuration([]).apply(logger: logger) }
        #expect(try folder.tree() == tree)
    }
}
