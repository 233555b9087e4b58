import ContentStore
import Files
import Glibc
import Logging
import OCI
import Synchronization
import TestSupport
import Testing

@Suite("ImageLayoutStore")
struct ImageLayoutStoreTests {
    private let folder: TemporaryFolder
    private let log = LogRecorder()

    init() throws {
        folder = try TemporaryFolder()
    }

    private func open(_ defaultRepository: ImageLayoutStore.Repository? = nil) throws -> ImageLayoutStore {
        try ImageLayoutStore(path: folder.path, defaultRepository: defaultRepository, logger: log.logger)
    }

    private func entry(_ digit: Character, _ annotations: [String: String]) -> String {
        let fields = annotations.sorted { $0.key < $1.key }.map { "\"\($0)\":\"\($1)\"" }.joined(separator: ",")
        let digest = "sha256:" + String(repeating: digit, count: 64)
        return
            "{\"mediaType\":\"\(MediaType.ociManifest)\",\"digest\":\"\(digest)\",\"size\":3,\"annotations\":{\(fields)}}"
    }

    @Test("rejects a folder that is no layout and names the expected file")
    func rejected() throws {
        func message() -> String {
            do {
                _ = try open()
                return "taken"
            } catch {
                return "\(error)"
            }
        }
        #expect(message().contains("it has no file oci-layout"))
        try folder.write("{", to: "oci-layout")
        #expect(message().contains("expected {\"imageLayoutVersion\":\"1.0.0\"}"))
        try folder.write("{\"imageLayoutVersion\":\"2.0\"}", to: "oci-layout")
        #expect(message().contains("'2.0'"))
        try folder.write("{\"imageLayoutVersion\":\"1.0.0\"}", to: "oci-layout")
        #expect(message() == "taken")
        #expect(throws: ImageLayoutError.notAFolder(path: folder.path + "/x")) {
            try ImageLayoutStore(path: folder.path + "/x/", logger: log.logger)
        }
        #expect(throws: ImageLayoutError.notAFolder(path: folder.path + "/oci-layout")) {
            try ImageLayoutStore(path: folder.path + "/oci-layout", logger: log.logger)
        }
    }

    @Test("empty layout has no content")
    func nothing() async throws {
        try folder.write("{\"imageLayoutVersion\":\"1.0.0\"}", to: "oci-layout")
        let store = try open()
        let digest = try Digest("sha256:" + String(repeating: "0", count: 64))
        #expect(try await store.images() == [])
        #expect(try await store.contents() == [])
        #expect(try await store.resolve("docker.io/x:1") == nil)
        #expect(try await store.size(of: digest) == nil)
        #expect(try store.openFile(digest) == nil)
        #expect(try await store.readDocument(digest) == nil)
        #expect(log.messages == [])
    }

    @Test("lists images with a full name only")
    func names() async throws {
        _ = try ImageLayoutWriter(path: folder.path)
        let ref = ImageLayout.refNameAnnotation
        let containerd = ImageLayout.containerdNameAnnotation
        let entries = [
            entry("1", [ref: "docker.io/library/a:1"]),
            entry("2", [ref: "1.0", containerd: "docker.io/library/b:1.0"]),
            entry("3", [ref: "latest"]),
            entry("4", [:]),
            entry("5", [ref: "no name at all"]),
            "{\"digest\":\"blake3:00\",\"size\":1,\"annotations\":{\"\(ref)\":\"docker.io/x:1\"}}",
            "{\"digest\":1}", "7", "null",
            entry("6", [ref: "docker.io/library/a:2"]),
            entry("7", [ref: "docker.io/library/a:2"]),
        ]
        try folder.write("{\"manifests\":[\(entries.joined(separator: ","))]}", to: "index.json")
        let images = try await open().images()
        #expect(images.map(\.name) == ["docker.io/library/a:1", "docker.io/library/a:2", "docker.io/library/b:1.0"])
        #expect(images.map { $0.target.digest.hex.first } == ["1", "7", "2"])
        let repository = ImageLayoutStore.Repository(
            registry: try #require(RegistryName("registry.lab:5000")),
            repository: try #require(RepositoryName("x/y"))
        )
        let more = try await open(repository).images().map(\.name)
        #expect(more.filter { $0.hasPrefix("registry.lab") } == ["registry.lab:5000/x/y:latest"])
        #expect(more.count == 4)
    }

    @Test("keeps the images and logs once when the index is unreadable")
    func halfWritten() async throws {
        let writer = try ImageLayoutWriter(path: folder.path)
        let name = try Reference("docker.io/x:1")
        let target = try writer.addManifest(Array("{\"manifests\":[]}".utf8), name: name)
        let store = try open()
        #expect(try await store.resolve(name.description) == target)
        for text in ["", "{\"manifests\":[", "[]", "\u{0}"] {
            try folder.write(text, to: "index.json")
            #expect(try await store.resolve(name.description) == target)
            #expect(try await store.images().count == 1)
        }
        #expect(log.messages.count == 1)
        #expect(log.messages.first?.contains("malformed \(folder.path)/index.json") == true)
        try folder.write("{\"manifests\":[]}", to: "index.json")
        #expect(try await store.images() == [])
        try folder.write("{", to: "index.json")
        #expect(try await store.images() == [])
        #expect(log.messages.count == 2)
        try Files.remove(folder.path + "/index.json")
        #expect(try await store.images() == [])
    }

    @Test("lists only files whose path is a digest")
    func contents() async throws {
        let writer = try ImageLayoutWriter(path: folder.path)
        let first = try writer.addBlob(Array("one".utf8))
        let sink = try writer.makeBlob(.sha512)
        try sink.write(Array("two".utf8))
        let second = try sink.finish()
        let blobs = "blobs/sha256/"
        for odd in [".tmp-x", "readme", String(repeating: "A", count: 64), String(repeating: "a", count: 63)] {
            try folder.write("odd", to: blobs + odd)
        }
        let zeros = String(repeating: "0", count: 64)
        try Files.makeFolder(folder.path + "/" + blobs + zeros)
        #expect(symlink("nowhere", folder.path + "/" + blobs + String(repeating: "1", count: 64)) == 0)
        let store = try open()
        #expect(Set(try await store.contents()) == [first, second])
        #expect(try await store.size(of: first.digest) == 3)
        #expect(try await store.size(of: Digest("sha256:" + zeros)) == nil)
        #expect(try store.openFile(Digest("sha256:" + zeros)) == nil)
        #expect(try await store.readDocument(second.digest) == Array("two".utf8))
        await #expect(throws: ContentError.tooLarge(3, limit: 2)) {
            try await store.readDocument(first.digest, limit: 2)
        }
        try writer.removeBlob(first.digest)
        #expect(try await store.readDocument(first.digest) == nil)
    }

    @Test("accepts random bytes as an index without trapping", arguments: 0..<300)
    func hostile(seed: UInt64) async throws {
        _ = try ImageLayoutWriter(path: folder.path)
        var generator = SeededGenerator(seed: seed)
        var bytes = Array("{\"manifests\":[\(entry("1", [ImageLayout.refNameAnnotation: "docker.io/a:1"]))]}".utf8)
        for _ in 0..<Int.random(in: 1...6, using: &generator) {
            bytes[Int.random(in: bytes.indices, using: &generator)] = UInt8(truncatingIfNeeded: generator.next())
        }
        try Files.replace(folder.path + "/index.json", with: bytes)
        let images = try await open().images()
        #expect(images.count <= 1)
        #expect(images.allSatisfy { (try? Reference($0.name)) != nil })
    }

    @Test("rejects a deeply nested index")
    func deep() async throws {
        let writer = try ImageLayoutWriter(path: folder.path)
        let depth = 400_000
        try folder.write("{\"manifests\":" + String(repeating: "[", count: depth), to: "index.json")
        #expect(try await open().images() == [])
        let name = try Reference("docker.io/x:1")
        #expect(throws: ImageLayoutError.self) { try writer.removeImage(name) }
        let text =
            "{\"manifests\":[],\"x\":" + String(repeating: "[", count: 500) + String(repeating: "]", count: 500) + "}"
        try folder.write(text, to: "index.json")
        let task = Task.detached { try writer.removeImage(name) }
        try await task.value
        #expect(
            try Files.read(folder.path + "/index.json", limit: 1 << 20)?.filter { $0 == UInt8(ascii: "[") }.count == 501
        )
    }
}

/// Records log messages.
final class LogRecorder: Sendable {
    private let lines = Mutex<[String]>([])

    var messages: [String] { lines.withLock { $0 } }

    var logger: Logger {
        Logger(label: "test") { _ in Handler(recorder: self) }
    }

    private struct Handler: LogHandler {
        let recorder: LogRecorder
        var metadata: Logger.Metadata = [:]
        var logLevel: Logger.Level = .debug

        init(recorder: LogRecorder) {
            self.recorder = recorder
        }

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let details = (event.metadata ?? [:]).map { "\($0)=\($1)" }.sorted().joined(separator: " ")
            recorder.lines.withLock { $0.append("\(event.message) \(details)") }
        }
    }
}
