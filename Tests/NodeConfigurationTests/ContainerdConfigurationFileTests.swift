import TestSupport
import Testing

@testable import NodeConfiguration

struct ContainerdConfigurationFileTests {
    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    private func read(_ text: String) throws -> ContainerdConfigurationFile? {
        try folder.write(text, to: "config.toml")
        return .read("/config.toml", root: folder.path)
    }

    @Test func parsesTablesOfVersion2() throws {
        let file = try #require(
            try read(
                """
                version = 2
                [plugins."io.containerd.grpc.v1.cri".containerd]
                discard_unpacked_layers = true
                [plugins."io.containerd.grpc.v1.cri".registry]
                config_path = "/etc/containerd/certs.d"
                """
            )
        )
        #expect(file.version == 2 && file.discardsUnpackedLayers == true && !file.hasOldMirrors)
        #expect(file.registryConfigPath == "/etc/containerd/certs.d")
    }

    @Test func parsesTablesOfVersion3() throws {
        let file = try #require(
            try read(
                """
                version = 3
                [plugins.'io.containerd.cri.v1.images']
                discard_unpacked_layers = false
                [plugins.'io.containerd.cri.v1.images'.registry]
                config_path = ""
                [plugins.'io.containerd.cri.v1.images'.registry.mirrors."docker.io"]
                endpoint = ["https://mirror.example"]
                """
            )
        )
        #expect(file.version == 3 && file.discardsUnpackedLayers == false && file.hasOldMirrors)
        #expect(file.registryConfigPath == "")
    }

    @Test func parsesTablesOfVersion1() throws {
        let text = """
            [plugins.cri.containerd]
            discard_unpacked_layers = true
            [plugins.cri.registry]
            config_path = "/etc/containerd/certs.d"
            """
        let file = try #require(try read(text))
        #expect(file.version == 1 && file.discardsUnpackedLayers == true)
        #expect(file.registryConfigPath == "/etc/containerd/certs.d")
        #expect(file.files == ["/config.toml"])
        let other = try #require(try read("version = 2\n" + text))
        #expect(other.registryConfigPath == nil && other.discardsUnpackedLayers == nil)
    }

    @Test func ignoresTablesOfOtherVersions() throws {
        let table = "[plugins.'io.containerd.grpc.v1.cri'.registry]\nconfig_path = '/old'\n"
        #expect(try read("version = 3\n" + table)?.registryConfigPath == nil)
        #expect(try read("version = 2\n" + table)?.registryConfigPath == "/old")
        let new = "[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/new'\n"
        #expect(try read("version = 1\n" + new)?.registryConfigPath == nil)
        #expect(try read("version = 3\n" + table + new)?.registryConfigPath == "/new")
    }

    @Test func errorNamesPathAndLine() throws {
        try folder.write("a = 1\nb", to: "config.toml")
        let error = try #require(throws: NodeConfigurationError.self) {
            try ContainerdConfigurationFile.load("/config.toml", root: folder.path)
        }
        #expect("\(error)".hasPrefix("/config.toml, line 2: "))
        #expect(try ContainerdConfigurationFile.load("/nothing.toml", root: folder.path) == nil)
    }

    @Test func importedFilesOverride() throws {
        try folder.write(
            "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/a'",
            to: "conf.d/10-a.toml"
        )
        try folder.write("imports = ['/conf.d/*.toml', '/missing.toml']\n[broken", to: "conf.d/20-b.toml")
        let file = try #require(
            try read(
                """
                version = 3
                imports = ["conf.d/*.toml"]
                [plugins.'io.containerd.cri.v1.images'.registry]
                config_path = "/b"
                """
            )
        )
        #expect(file.registryConfigPath == "/a")
        // With such an import containerd does not start.
        #expect(file.importProblem?.contains("conf.d/20-b.toml, line ") == true)
        #expect(try read("imports = [\"conf.d/10-a.toml\", \"/missing.toml\"]")?.importProblem == nil)
    }

    @Test func returnsNilForMissingOrMalformedFile() throws {
        #expect(ContainerdConfigurationFile.read("/nothing.toml", root: folder.path) == nil)
        #expect(try read("not toml") == nil)
        let empty = try #require(try read(""))
        #expect(empty.registryConfigPath == nil && empty.discardsUnpackedLayers == nil && empty.version == 1)
        // Two files that import each other.
        let circle = try #require(try read("imports = ['/config.toml', 7]"))
        #expect(circle.registryConfigPath == nil)
    }

    @Test(
        arguments: [
            (["containerd"], "/etc/containerd/config.toml"),
            (["containerd", "--config", "/x.toml", "--log-level", "debug"], "/x.toml"),
            (["containerd", "-c", "/x.toml"], "/x.toml"), (["containerd", "--config=/x.toml"], "/x.toml"),
            (["containerd", "--config"], ""), ([], "/etc/containerd/config.toml"),
        ] as [([String], String)]
    )
    func findsFileOfProcess(_ words: [String], _ path: String) {
        #expect(ContainerdConfigurationFile.path(inCommandLine: words) == path)
    }
}
