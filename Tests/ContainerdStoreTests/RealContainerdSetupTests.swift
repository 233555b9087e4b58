import ContentStore
import Glibc
import OCI
import Testing

@testable import ContainerdStore

/// The configuration and source labels of a real containerd.
@Suite(
    .serialized,
    .timeLimit(.minutes(2)),
    .enabled(if: RealContainerd.isAvailable, "containerd and ctr must be installed, and the tests run as root")
)
struct RealContainerdSetupTests {
    private static let cri = """
        [plugins."io.containerd.grpc.v1.cri"]
          restrict_oom_score_adj = true
          stream_server_address = "127.0.0.1"
          stream_server_port = "0"
        [plugins."io.containerd.grpc.v1.cri".containerd]
          snapshotter = "native"
          discard_unpacked_layers = true
        [plugins."io.containerd.grpc.v1.cri".registry]
          config_path = "/etc/spegel-test"
        """

    @Test func reportsConfigurationWithCRI() async throws {
        let containerd = try await RealContainerd(cri: Self.cri)
        try await withStore(socketPath: containerd.socketPath) { store in
            let setup = try await eventually {
                let setup = try await store.setup()
                guard setup.hasCRI else { throw TestError("no CRI yet; the log:\n\(containerd.log)") }
                return setup
            }
            #expect(setup.contentPath == containerd.contentPath)
            if setup.versionNumbers.major < 2 {
                #expect(setup.registryConfigPath == "/etc/spegel-test")
                #expect(setup.discardsUnpackedLayers == true)
            } else {
                // From 2.0 on, containerd does not report it. The process must then be known.
                let pid = try #require(setup.processID)
                #expect(access("/proc/\(pid)/cmdline", R_OK) == 0)
            }
        }
    }

    @Test func reportsLittleWithoutCRI() async throws {
        let containerd = try await RealContainerd()
        try await withStore(socketPath: containerd.socketPath, contentPath: containerd.contentPath) { store in
            let setup = try await store.setup()
            #expect(!setup.hasCRI && setup.registryConfigPath == nil && setup.discardsUnpackedLayers == nil)
            #expect(setup.versionNumbers.major >= 1)
            #expect(try await store.contentFolderProblem() == nil)
        }
        try await withStore(socketPath: containerd.socketPath, contentPath: "/nonexistent/content") { store in
            let problem = try await store.contentFolderProblem()
            #expect(problem == nil)
            #expect(try await store.contentsOnDisk().isEmpty)
        }
    }

    @Test func reportsSourcesOfContent() async throws {
        let containerd = try await RealContainerd()
        let archive = try ImageArchive(name: "registry.example/a:1", layers: [[1], [2]], in: containerd.folder)
        try containerd.load(archive)
        try containerd.ctr(
            "content",
            "label",
            archive.manifest.text,
            "containerd.io/distribution.source.registry.example=team/a,team/b"
        )
        try await withStore(socketPath: containerd.socketPath, contentPath: containerd.contentPath) { store in
            let registry = try #require(RegistryName("registry.example"))
            let repositories = try ["team/a", "team/b"].map { try #require(RepositoryName($0)) }
            let sources = repositories.map { ContentSource(registry: registry, repository: $0) }
            #expect(try await store.content(archive.manifest)?.sources == sources)
            for content in try await store.contents() {
                // Imported content has no source.
                #expect(content.sources == (content.digest == archive.manifest ? sources : []))
            }
            // The content folder has the same content.
            let listed = Set(try await store.contents().map(\.digest))
            containerd.signal(SIGKILL)
            await #expect(throws: ContainerdError.self) { while true { _ = try await store.contents() } }
            #expect(Set(try await store.contentsOnDisk().map(\.digest)) == listed)
            #expect(try store.openFile(archive.manifest) != nil)
        }
    }
}
