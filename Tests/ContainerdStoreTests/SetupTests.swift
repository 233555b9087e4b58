import ContentStore
import OCI
import Testing

@testable import ContainerdStore

struct SetupTests {
    /// The relevant part of the CRI plugin's configuration as containerd 1.6 and 1.7 report it.
    private static func criInfo(_ configPath: String, discards: Bool) -> [String: String] {
        let config = """
            {"containerd":{"snapshotter":"overlayfs","discardUnpackedLayers":\(discards)},"cni":{"binDir":"/x"},
            "registry":{"configPath":"\(configPath)","mirrors":null},"containerdRootDir":"/data/containerd",
            "rootDir":"/data/containerd/io.containerd.grpc.v1.cri"}
            """
        return ["config": config, "golang": "\"go1.19\""]
    }

    private static func setup(_ version: String, _ info: [String: String]) -> ContainerdSetup {
        var setup = ContainerdSetup(version: version)
        setup.hasCRI = true
        setup.add(criInfo: info)
        return setup
    }

    @Test func parsesCRIConfiguration() {
        let setup = Self.setup("1.6.20", Self.criInfo("/etc/containerd/certs.d", discards: true))
        #expect(setup.registryConfigPath == "/etc/containerd/certs.d")
        #expect(setup.discardsUnpackedLayers == true)
        #expect(setup.contentPath == "/data/containerd/io.containerd.content.v1.content")
        // From 2.0 on it has only settings of running containers.
        let new = Self.setup("v2.1.4", ["config": #"{"containerd":{},"containerdRootDir":"/data"}"#])
        #expect(new.registryConfigPath == nil && new.discardsUnpackedLayers == nil)
        let told = ["config": "{}", "imageconfig": #"{"registry":{"configPath":"/a"},"discardUnpackedLayers":false}"#]
        let newest = Self.setup("v2.9.0", told)
        #expect(newest.registryConfigPath == "/a" && newest.discardsUnpackedLayers == false)
    }

    @Test(arguments: ["", "null", "[]", "{", #"{"registry":7}"#, #"{"registry":{"configPath":{}}}"#])
    func ignoresMalformedConfiguration(_ json: String) {
        let setup = Self.setup("1.6.20", ["config": json])
        #expect(setup.registryConfigPath == nil && setup.discardsUnpackedLayers == nil)
    }

    @Test(
        arguments: [
            ("1.6.20", 1, 6), ("v2.1.9+unknown", 2, 1), ("1.6.20~ds1", 1, 6), ("2", 2, 0), ("", 0, 0), ("x", 0, 0),
            ("99999999999999999999.1", 0, 1),
        ] as [(String, Int, Int)]
    )
    func parsesVersions(_ text: String, _ major: Int, _ minor: Int) {
        #expect(ContainerdSetup(version: text).versionNumbers == (major, minor))
    }

    private static func check(
        _ setup: ContainerdSetup,
        folderProblem: String? = nil,
        imagesWithoutLayers: Int = 0
    ) -> SetupCheck {
        SetupCheck(
            setup,
            registryConfigPath: "/etc/containerd/certs.d",
            folderProblem: folderProblem,
            imagesWithoutLayers: imagesWithoutLayers
        )
    }

    @Test(arguments: ["/etc/containerd/certs.d", "/etc/containerd/certs.d/", "/x:/etc/containerd/certs.d:/y"])
    func goodSetupHasNoAdvice(_ path: String) {
        let setup = Self.setup("1.6.20", Self.criInfo(path, discards: false))
        #expect(Self.check(setup, imagesWithoutLayers: 7).advice == nil)
    }

    @Test func advisesLinesForContainerd1() throws {
        let advice = try #require(Self.check(Self.setup("1.7.24", Self.criInfo("", discards: true))).advice)
        #expect(
            advice.contains(#"[plugins."io.containerd.grpc.v1.cri".registry] config_path = "/etc/containerd/certs.d""#)
        )
        #expect(advice.contains(#"[plugins."io.containerd.grpc.v1.cri".containerd] discard_unpacked_layers = false"#))
        #expect(!advice.contains("io.containerd.cri.v1.images") && !advice.contains("\n"))
    }

    @Test func advisesLinesForContainerd2() throws {
        var setup = ContainerdSetup(version: "v2.1.4")
        setup.registryConfigPath = ""
        setup.discardsUnpackedLayers = true
        let both = try #require(Self.check(setup).advice)
        #expect(
            both.contains(#"[plugins."io.containerd.cri.v1.images".registry] config_path = "/etc/containerd/certs.d""#)
        )
        #expect(both.contains(#"[plugins."io.containerd.cri.v1.images"] discard_unpacked_layers = false"#))
        #expect(both.contains("version = 2") && both.contains("io.containerd.grpc.v1.cri"))
        setup.configurationVersion = 3
        let new = try #require(Self.check(setup).advice)
        #expect(!new.contains("io.containerd.grpc.v1.cri"))
        setup.configurationVersion = 2
        let old = try #require(Self.check(setup).advice)
        #expect(!old.contains("io.containerd.cri.v1.images") && old.contains("io.containerd.grpc.v1.cri"))
    }

    @Test func distinguishesProblems() {
        let elsewhere = Self.check(Self.setup("1.6.20", Self.criInfo("/elsewhere", discards: false)))
        #expect(elsewhere.problems == [.registryConfigPathDiffers(found: "/elsewhere")])
        var unknown = ContainerdSetup(version: "v2.1.4")
        #expect(Self.check(unknown).problems.isEmpty)
        #expect(Self.check(unknown, imagesWithoutLayers: 3).problems == [.layersAreMissing(images: 3)])
        unknown.contentPath = "/data/content"
        let folder = Self.check(unknown, folderProblem: "it is not there")
        #expect(folder.advice?.contains("it is not there; containerd's own path is /data/content") == true)
    }

    @Test func parsesSourceLabels() throws {
        var labels = SourceLabels()
        let sources = labels.sources(in: [
            "containerd.io/distribution.source.docker.io": "library/alpine,team/x,NOT A NAME",
            "containerd.io/distribution.source.": "x",
            "containerd.io/uncompressed": "sha256:1",
        ])
        #expect(sources.map { "\($0.registry)/\($0.repository)" } == ["docker.io/library/alpine", "docker.io/team/x"])
        let two = labels.sources(in: [
            "containerd.io/distribution.source.registry.lab:5000": "a",
            "containerd.io/distribution.source.quay.io": "b",
        ])
        #expect(Set(two.map(\.registry.text)) == ["registry.lab:5000", "quay.io"])
        let many = String(repeating: "a,", count: 100_000)
        #expect(labels.sources(in: ["containerd.io/distribution.source.docker.io": many]).count <= 64)
    }
}
