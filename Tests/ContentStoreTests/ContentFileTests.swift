import ContentStore
import Files
import Glibc
import TestSupport
import Testing

@Suite("ContentFile")
struct ContentFileTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    @Test("reads the content")
    func read() throws {
        try folder.write("hello", to: "x")
        let file = try #require(try ContentFile.open(path: folder.path + "/x"))
        #expect(file.size == 5)
        #expect(try file.readAll(limit: 5) == Array("hello".utf8))
        #expect(throws: ContentError.tooLarge(5, limit: 4)) { try file.readAll(limit: 4) }
    }

    @Test("reads an empty file")
    func empty() throws {
        try folder.write("", to: "x")
        let file = try #require(try ContentFile.open(path: folder.path + "/x"))
        #expect(try file.readAll(limit: 0) == [])
    }

    @Test("reports a file that shrinks as truncated")
    func truncated() throws {
        try folder.write("hello", to: "x")
        let file = try #require(try ContentFile.open(path: folder.path + "/x"))
        #expect(truncate(folder.path + "/x", 2) == 0)
        #expect(throws: ContentError.truncated(at: 2, expected: 5)) { try file.readAll(limit: 10) }
    }

    @Test("opens regular files only")
    func kinds() throws {
        try folder.write("hello", to: "x")
        #expect(try ContentFile.open(path: folder.path + "/missing") == nil)
        #expect(try ContentFile.open(path: folder.path + "/x/below") == nil)
        #expect(try ContentFile.open(path: folder.path) == nil)
        // Opening a pipe without a writer must not block.
        #expect(mkfifo(folder.path + "/pipe", 0o600) == 0)
        #expect(try ContentFile.open(path: folder.path + "/pipe") == nil)
        #expect(symlink("x", folder.path + "/link") == 0)
        #expect(throws: ContentError.system(operation: "open", path: folder.path + "/link", errno: ELOOP)) {
            try ContentFile.open(path: folder.path + "/link")
        }
    }

    @Test("closes the descriptor with the last reference")
    func closes() throws {
        try folder.write("hello", to: "x")
        let path = folder.path
        func count() throws -> Int { try openDescriptors { $0.hasPrefix(path) } }
        var file = try ContentFile.open(path: path + "/x")
        #expect(try count() == 1)
        #expect(file?.size == 5)
        file = nil
        #expect(try ContentFile.open(path: path) == nil)
        #expect(try count() == 0)
    }
}
