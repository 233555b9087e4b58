import Files
import Glibc
import Logging
import Membership
import TestSupport
import Testing

@testable import spegel

@Suite struct ClusterKeyServiceTests {
    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private func write(_ lines: String..., to path: String) throws {
        try Files.replace(path, with: Array(lines.joined(separator: "\n").utf8), mode: 0o600)
    }

    private func keys(_ line: String) throws -> ClusterKeys {
        try ClusterKeyFile.parse(Array(line.utf8))
    }

    @Test func followsChangesOfFile() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/key"
        let (old, new) = (ClusterKey.makeLine(), ClusterKey.makeLine())
        try write(old, to: path)
        let service = try ClusterKeyService(path: path, logger: logger)
        #expect(service.ring.keys == (try keys(old)))
        #expect(!service.reload())
        try write(new, old, to: path)
        #expect(service.reload())
        #expect(service.ring.keys == (try keys(new + "\n" + old)))
    }

    /// A kubelet puts a Secret's new files into a new folder, and has a link point to that.
    @Test func followsLinks() throws {
        let folder = try TemporaryFolder()
        let (old, new) = (ClusterKey.makeLine(), ClusterKey.makeLine())
        for (name, line) in [("1", old), ("2", new)] {
            #expect(mkdir(folder.path + "/" + name, 0o700) == 0)
            try write(line, to: folder.path + "/\(name)/key")
        }
        #expect(symlink("1", folder.path + "/..data") == 0)
        #expect(symlink("..data/key", folder.path + "/key") == 0)
        let service = try ClusterKeyService(path: folder.path + "/key", logger: logger)
        #expect(service.ring.keys == (try keys(old)))
        #expect(symlink("2", folder.path + "/..new") == 0)
        #expect(rename(folder.path + "/..new", folder.path + "/..data") == 0)
        #expect(service.reload())
        #expect(service.ring.keys == (try keys(new)))
    }

    @Test func keepsKeysWhileFileIsFaulty() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/key"
        let line = ClusterKey.makeLine()
        try write(line, to: path)
        let service = try ClusterKeyService(path: path, logger: logger)
        try write("AAAA", to: path)
        #expect(!service.reload())
        #expect(unlink(path) == 0)
        #expect(!service.reload())
        #expect(service.ring.keys == (try keys(line)))
        let next = ClusterKey.makeLine()
        try write(next, to: path)
        #expect(service.reload())
    }

    @Test func saysWhatIsWrongWithFile() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/key"
        #expect(
            throws: ClusterKeyService.Failure(description: "--cluster-key-file: expected a file at \(path), found none")
        ) {
            try ClusterKeyService(path: path, logger: logger)
        }
        try write("", "AAAA", to: path)
        let expected = "--cluster-key-file: \(path): line 2: expected a key of 32 to 512 bytes, found 3"
        #expect(throws: ClusterKeyService.Failure(description: expected)) {
            try ClusterKeyService(path: path, logger: logger)
        }
    }
}
