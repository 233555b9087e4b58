import Glibc
import Testing

@testable import LibP2P

@Suite struct IdentityFileTests {
    /// Runs `body` with an empty directory and removes it.
    private func withDirectory(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/identity-XXXXXX".utf8CString)
        let made = mkdtemp(&template).map { String(cString: $0) }
        let directory = try #require(made)
        defer { remove(directory) }
        try body(directory)
    }

    private func remove(_ directory: String) {
        for name in ["/a/b/private.key", "/a/b", "/a", "/private.key", "/private.key.tmp", ""] {
            chmod(directory + name, 0o700)
        }
        for name in ["/a/b/private.key", "/private.key", "/private.key.tmp"] { unlink(directory + name) }
        for name in ["/private.key", "/a/b", "/a", ""] { rmdir(directory + name) }
    }

    private func mode(_ path: String) throws -> mode_t {
        var status = stat()
        let result = lstat(path, &status)
        try #require(result == 0)
        return status.st_mode & 0o777
    }

    private func write(_ text: String, _ path: String) throws {
        let file = try #require(fopen(path, "w"))
        fputs(text, file)
        fclose(file)
    }

    @Test func keepsIdentityAcrossRestarts() throws {
        try withDirectory { directory in
            let first = try IdentityFile(dataDirectory: directory).loadOrCreate()
            let second = try IdentityFile(dataDirectory: directory + "/").loadOrCreate()
            #expect(first.peerID == second.peerID)
            #expect(try mode(directory + "/private.key") == 0o600)
            #expect(access(directory + "/private.key.tmp", F_OK) != 0)
        }
    }

    @Test func createsDirectory() throws {
        try withDirectory { directory in
            let file = IdentityFile(dataDirectory: directory + "/a/b")
            #expect(try file.load() == nil)
            let pair = try file.loadOrCreate()
            #expect(try file.load()?.peerID == pair.peerID)
            #expect(try mode(directory + "/a/b") == 0o700)
        }
    }

    @Test func readsKeyOfAnotherProgram() throws {
        try withDirectory { directory in
            try write(KeyPairTests.rfcPEM, directory + "/private.key")
            #expect(try IdentityFile(dataDirectory: directory).loadOrCreate().pem == KeyPairTests.rfcPEM)
        }
    }

    @Test func replacesLeftoverOfInterruptedStart() throws {
        try withDirectory { directory in
            try write("half", directory + "/private.key.tmp")
            let pair = try IdentityFile(dataDirectory: directory).loadOrCreate()
            #expect(try IdentityFile(dataDirectory: directory).load()?.peerID == pair.peerID)
            #expect(try mode(directory + "/private.key") == 0o600)
        }
    }

    @Test(arguments: ["", "garbage", String(repeating: "x", count: 40000)])
    func neverOverwritesUnusableFile(content: String) throws {
        try withDirectory { directory in
            let file = IdentityFile(dataDirectory: directory)
            try write(content, file.path)
            let error = #expect(throws: IdentityError.self) { try file.loadOrCreate() }
            let text = error.map { "\($0)" } ?? ""
            #expect(text.hasPrefix(file.path))
            #expect(!text.contains("\n"))
            var status = stat()
            let result = stat(file.path, &status)
            #expect(result == 0 && Int(status.st_size) == content.utf8.count)
        }
    }

    @Test func rejectsDirectoryInPlaceOfFile() throws {
        try withDirectory { directory in
            let file = IdentityFile(dataDirectory: directory)
            mkdir(file.path, 0o700)
            #expect(throws: IdentityError.file(path: file.path, operation: "read", reason: "not a regular file")) {
                try file.loadOrCreate()
            }
        }
    }

    @Test func errorNamesDirectoryThatCannotBeCreated() throws {
        // A file is in the place of the directory. This fails for the superuser as well.
        try withDirectory { directory in
            try write("", directory + "/private.key")
            let error = #expect(throws: IdentityError.self) {
                try IdentityFile(dataDirectory: directory + "/private.key/data").loadOrCreate()
            }
            #expect(error.map { "\($0)".contains("Not a directory") } == true)
        }
    }

    @Test(.enabled(if: geteuid() != 0, "the superuser may write anywhere"))
    func errorNamesDirectoryThatIsNotWritable() throws {
        try withDirectory { directory in
            chmod(directory, 0o500)
            let error = #expect(throws: IdentityError.self) {
                try IdentityFile(dataDirectory: directory).loadOrCreate()
            }
            #expect(error.map { "\($0)".contains("Permission denied") } == true)
        }
    }
}
