import ContentStore
import OCI
import Testing

@testable import ContainerdStore

@Suite struct ContentFolderTests {
    private let digest: Digest

    init() throws {
        digest = try Digest("sha256:" + String(repeating: "0f", count: 32))
    }

    @Test func usesPathsOfContainerd() throws {
        let folder = ContentFolder(path: "/content")
        #expect(folder.blobPath(digest) == "/content/blobs/sha256/" + String(repeating: "0f", count: 32))
        let long = try Digest("sha512:" + String(repeating: "0f", count: 64))
        #expect(folder.blobPath(long) == "/content/blobs/sha512/" + String(repeating: "0f", count: 64))
    }

    @Test func opensExistingBlobs() throws {
        let temporary = try TemporaryFolder()
        let folder = ContentFolder(path: temporary.path)
        #expect(try folder.open(digest) == nil)
        try temporary.makeFolder("blobs/sha256")
        #expect(try folder.open(digest) == nil)
        try temporary.write("blobs/sha256/\(digest.hex)", Array("content".utf8))
        #expect(try folder.open(digest)?.readAll(limit: 10) == Array("content".utf8))
    }

    @Test func reportsProblemOfFolder() throws {
        let temporary = try TemporaryFolder()
        let folder = ContentFolder(path: temporary.path)
        #expect(folder.problem(held: nil)?.contains("expected containerd's content folder") == true)
        try temporary.makeFolder("blobs/sha256")
        #expect(folder.problem(held: nil) == nil)
        #expect(folder.problem(held: digest)?.contains("lacks \(digest)") == true)
        try temporary.write("blobs/sha256/\(digest.hex)", [])
        #expect(folder.problem(held: digest) == nil)
    }
}
