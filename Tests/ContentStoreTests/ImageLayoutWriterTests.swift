import ContentStore
import Files
import FoundationEssentials
import Logging
import OCI
import TestSupport
import Testing

@Suite("ImageLayoutWriter")
struct ImageLayoutWriterTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    private func store() throws -> ImageLayoutStore {
        try ImageLayoutStore(path: folder.path, logger: Logger(label: "test"))
    }

    @Test("creates a layout and reopens an existing one unchanged")
    func create() async throws {
        let path = folder.path + "/a/b"
        let writer = try ImageLayoutWriter(path: path + "/")
        #expect(writer.layout.path == path)
        #expect(try Files.names(in: path) == ["blobs", "index.json", "oci-layout"])
        try writer.addManifest(Array("{\"manifests\":[]}".utf8), name: Reference("docker.io/x:1"))
        let again = try ImageLayoutWriter(path: path)
        #expect(try Files.read(again.layout.indexFile, limit: 4096)?.isEmpty == false)
        let images = try await ImageLayoutStore(path: path, logger: Logger(label: "test")).images()
        #expect(images.map(\.name) == ["docker.io/x:1"])
        try Files.replace(path + "/oci-layout", with: Array("{\"imageLayoutVersion\":\"9\"}".utf8))
        #expect(throws: ImageLayoutError.self) { try ImageLayoutWriter(path: path) }
    }

    @Test("digests are those of the public test vectors")
    func vectors() throws {
        let writer = try ImageLayoutWriter(path: folder.path)
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        #expect(try writer.addBlob([]).digest.text == empty)
        let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        let content = try writer.addBlob(Array("abc".utf8))
        #expect(content.digest.text == abc)
        #expect(content.size == 3)
        let sink = try writer.makeBlob(.sha512)
        for byte in "abc".utf8 { try sink.write([byte]) }
        let long = try sink.finish()
        #expect(long.digest.hex.hasPrefix("ddaf35a193617abacc417349ae204131"))
        #expect(try Files.read(writer.layout.blobFile(long.digest), limit: 10) == Array("abc".utf8))
        #expect(try Files.status(writer.layout.blobFile(long.digest))?.mode == 0o644)
    }

    @Test("removes mismatching and abandoned content")
    func mismatch() throws {
        let writer = try ImageLayoutWriter(path: folder.path)
        let expected = try Digest("sha256:" + String(repeating: "0", count: 64))
        #expect(throws: ImageLayoutError.self) { try writer.addBlob([1, 2, 3], expected: expected) }
        do {
            let sink = try writer.makeBlob()
            try sink.write([1])
        }
        #expect(try Files.names(in: writer.layout.blobsFolder(.sha256)) == [])
        let path = folder.path
        #expect(try openDescriptors { $0.hasPrefix(path) } == 0)
    }

    @Test("replaces the target of a name and keeps the rest of the index")
    func index() async throws {
        let writer = try ImageLayoutWriter(path: folder.path)
        let foreign = """
            {"schemaVersion":2,"annotations":{"who":"a person","n":1.5,"big":12345678901},"manifests":[
            {"digest":"sha256:\(String(repeating: "1", count: 64))","size":3,"platform":{"os":"linux"},
            "annotations":{"org.opencontainers.image.ref.name":"latest"}},
            {"digest":"sha256:\(String(repeating: "2", count: 64))","size":3,
            "annotations":{"io.containerd.image.name":"docker.io/x:1","org.opencontainers.image.ref.name":"1"}}]}
            """
        try folder.write(foreign, to: "index.json")
        let name = try Reference("docker.io/x:1")
        let first = try writer.addManifest(Array("{\"manifests\":[]}".utf8), name: name)
        #expect(first.mediaType == .ociIndex)
        #expect(try await store().images() == [StoredImage(name: "docker.io/x:1", target: first)])
        let text = String(
            decoding: try #require(try Files.read(folder.path + "/index.json", limit: 4096)),
            as: UTF8.self
        )
        for kept in ["\"who\":\"a person\"", "\"n\":1.5", "\"big\":12345678901", "\"os\":\"linux\"", "\"latest\""] {
            #expect(text.contains(kept), "\(kept) in \(text)")
        }
        let second = try writer.addManifest(Array("{\"layers\":[]}".utf8), mediaType: .dockerManifest, name: name)
        #expect(try await store().images() == [StoredImage(name: "docker.io/x:1", target: second)])
        try writer.removeImage(name)
        #expect(try await store().images() == [])
        #expect(throws: Manifest.ParseError.notAManifest) { try writer.addManifest(Array("{}".utf8)) }
        let path = folder.path
        #expect(try openDescriptors { $0.hasPrefix(path) } == 0)
        #expect(try Files.names(in: folder.path) == ["blobs", "index.json", "oci-layout"])
    }

    @Test("keeps an index that is not JSON")
    func malformed() throws {
        let writer = try ImageLayoutWriter(path: folder.path)
        try folder.write("half of an ind", to: "index.json")
        #expect(throws: ImageLayoutError.self) { try writer.removeImage(Reference("docker.io/x:1")) }
        #expect(try Files.read(folder.path + "/index.json", limit: 100) == Array("half of an ind".utf8))
    }

    @Test("concurrent writers keep all images", .timeLimit(.minutes(1)))
    func concurrent() async throws {
        let writer = try ImageLayoutWriter(path: folder.path)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<20 {
                group.addTask {
                    let json = "{\"manifests\":[],\"annotations\":{\"n\":\"\(number)\"}}"
                    try writer.addManifest(Array(json.utf8), name: Reference("docker.io/x:\(number)"))
                }
            }
            try await group.waitForAll()
        }
        #expect(try await store().images().count == 20)
        #expect(try await store().contents().count == 20)
    }
}
