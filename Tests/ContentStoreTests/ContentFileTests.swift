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

    @Test("reads what is there")
    func read() throws {
        try folder.write("hello", to: "x")
        let file = try #require(try ContentFile.open(path: folder.path + "/x"))
        #expect(file.size == 5)
        #expect(try file.readAll(limit: 5) == Array("hello".utf8))
        #expect(throws: ContentError.tooLarge(5, limit: 4)) { try file.readAll(limit: 4) }
    }

    @Test("an empty file is content too")
    func empty() throws {
        try folder.write("", to: "x")
        let file = try #require(try ContentFile.open(path: folder.path + "/x"))
        #expect(try file.readAll(limit: 0) == [])
    }

    @Test("a file that shrinks is told")
    func truncated() throws {
        try folder.write("hello", to: "x")
        let file = try #require(try ContentFile.open(path: folder.path + "/x"))
        #expect(truncate(folder.path + "/x", 2) == 0)
        #expect(throws: ContentError.truncated(at: 2, expected: 5)) { try file.readAll(limit: 10) }
    }

    @Test("only regular files are content")
    func kinds() throws {
        try folder.write("hello", to: "x")
        #expect(try ContentFile.open(path: folder.path + "/missing") == nil)
        #expect(try ContentFile.open(path: folder.path + "/x/below") == nil)
        #expect(try ContentFile.open(path: folder.path) == nil)
        // Opening a pipe that nobody writes must not wait.
        #expect(mkfifo(folder.path + "/pipe", 0o600) == 0)
        #expect(try ContentFile.open(path: folder.path + "/pipe") == nil)
        #expect(symlink("x", folder.path + "/link") == 0)
        #expect(throws: ContentError.system(operation: "open", path: folder.path + "/link", errno: ELOOP)) {
            try ContentFile.open(path: folder.path + "/link")
        }
    }

    @Test("is closed with its last reference, and on no other way out")
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
