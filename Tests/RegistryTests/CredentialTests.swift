import Files
import Glibc
import Logging
import Membership
import NIOCore
import TestSupport
import Testing

@testable import Registry

/// A folder of secrets as the kubelet makes it: links to what is in the folder that `..data` links to.
final class SecretFolder {
    let path: String
    private var version = 0

    init() {
        var template = Array("/tmp/registry-secret-XXXXXX".utf8CString)
        path = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp/registry-secret-none"
    }

    deinit { try? Files.remove(path) }

    /// Replaces all files at once.
    func set(_ files: [String: String]) throws {
        version += 1
        let folder = "..version-\(version)"
        try Files.makeFolder("\(path)/\(folder)")
        for (name, content) in files {
            try Files.replace("\(path)/\(folder)/\(name)", with: Array(content.utf8))
            if try Files.status("\(path)/\(name)") == nil { #expect(symlink("..data/\(name)", "\(path)/\(name)") == 0) }
        }
        #expect(symlink(folder, "\(path)/..data-new") == 0)
        try Files.rename("\(path)/..data-new", to: "\(path)/..data")
    }
}

struct CredentialTests {
    private func credentials(_ name: String, _ password: String) throws -> Credentials {
        try #require(Credentials(username: Array(name.utf8), password: Array(password.utf8)))
    }

    private func failure(of folder: CredentialFolder) -> CredentialFolder.Failure? {
        do throws(CredentialFolder.Failure) {
            _ = try folder.read()
            return nil
        } catch {
            return error
        }
    }

    // RFC 7617, section 2
    @Test func headerMatchesSpecification() throws {
        let credentials = try credentials("Aladdin", "open sesame")
        #expect(credentials.header == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
        #expect(try self.credentials("test", "123\u{A3}").header == "Basic dGVzdDoxMjPCow==")
        for header in [credentials.header, "basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "BASIC  QWxhZGRpbjpvcGVuIHNlc2FtZQ=="]
        {
            #expect(credentials.match(header))
        }
        for header in [
            "", "Basic", "Basic ", "BasicQWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ===",
        ] {
            #expect(!credentials.match(header))
        }
    }

    @Test func onlyRightHeaderMatches() throws {
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        let credentials = try credentials("user", "a password of some length")
        for _ in 0..<2000 {
            var bytes = Array(credentials.header.utf8)
            let place = Int.random(in: 6..<bytes.count, using: &random)
            bytes[place] = UInt8.random(in: 0x21...0x7E, using: &random)
            let header = String(decoding: bytes, as: UTF8.self)
            #expect(credentials.match(header) == (header == credentials.header), "seed \(seed): \(header)")
        }
    }

    @Test func refusesNameWithColonAndLongValues() {
        #expect(Credentials(username: Array("a:b".utf8), password: [1]) == nil)
        #expect(Credentials(username: [1], password: Array("a:b".utf8)) != nil)
        #expect(Credentials(username: [UInt8](repeating: 1, count: 1025), password: [1]) == nil)
        #expect(Credentials(username: [1], password: [UInt8](repeating: 1, count: 1025)) == nil)
    }

    /// Two nodes that get a new secret at moments that are no further apart than a node sends the old one always
    /// understand each other.
    @Test func nodesUnderstandEachOtherWhileASecretChanges() throws {
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        let (old, new) = (try credentials("u", "old"), try credentials("u", "new"))
        let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
        for _ in 0..<500 {
            var nodes = [CredentialRotation(old), CredentialRotation(old)]
            let skew = Int64.random(in: 0...CredentialRotation.sending.nanoseconds, using: &random)
            let changes = [start, start + .nanoseconds(skew)]
            for second in Int64(-10)...300 {
                let now = start + .seconds(second)
                for index in 0..<2 where now >= changes[index] { _ = nodes[index].change(to: new, now: now) }
                for (from, to) in [(0, 1), (1, 0)] {
                    let header = nodes[from].sent(now: now).header
                    #expect(nodes[to].accepts(header, now: now), "seed \(seed): skew \(skew), second \(second)")
                }
            }
            // In the end the old ones are worth nothing.
            let end = start + .seconds(300)
            for node in nodes { #expect(!node.accepts(old.header, now: end) && node.sent(now: end) == new) }
        }
    }

    @Test func sameCredentialsAreNoChange() throws {
        var rotation = CredentialRotation(try credentials("u", "p"))
        let hasChanged = rotation.change(to: try credentials("u", "p"), now: .now())
        #expect(!hasChanged)
        #expect(!rotation.accepts(nil, now: .now()))
    }

    @Test func errorNamesFaultyFolder() throws {
        let secret = SecretFolder()
        let folder = CredentialFolder(secret.path)
        #expect(failure(of: CredentialFolder(secret.path + "/none")) == .noFolder(secret.path + "/none"))
        #expect(!CredentialFolder(secret.path + "/none").exists && folder.exists)
        #expect(failure(of: folder) == .noFile(folder: secret.path, name: "username"))
        try secret.set(["username": "u"])
        #expect(failure(of: folder) == .noFile(folder: secret.path, name: "password"))
        try secret.set(["username": "u", "password": ""])
        #expect(failure(of: folder) == .empty(secret.path + "/password"))
        try secret.set(["username": "u:v", "password": "p"])
        #expect(failure(of: folder) == .colon(secret.path + "/username"))
        try secret.set(["username": "u", "password": String(repeating: "p", count: 1025)])
        #expect(failure(of: folder) == .tooLong(secret.path + "/password"))
        try secret.set(["username": "u", "password": "p\n"])
        let read = try folder.read()
        let expected = try credentials("u", "p\n")
        #expect(read.credentials == expected && read.endsInLineBreak)
        #expect(
            "\(CredentialFolder.Failure.noFile(folder: "/x", name: "password"))".contains("/x has no file password")
        )
    }

    @Test func rereadsChangedFolderAndKeepsCredentialsOnFailure() throws {
        let secret = SecretFolder()
        try secret.set(["username": "u", "password": "old"])
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        let authentication = try BasicAuthentication(folder: CredentialFolder(secret.path), logger: logger)
        let (old, new) = (try credentials("u", "old").header, try credentials("u", "new").header)
        #expect(authentication.accepts(old) && !authentication.accepts(new))
        try secret.set(["username": "u", "password": "new"])
        let now = NIODeadline.now()
        authentication.reload(now: now)
        #expect(authentication.accepts(old) && authentication.accepts(new))
        #expect(authentication.headerForPeers == old)
        // Nodes prove the password for as long as they would send it.
        let keys = try ["old", "new"].map { try credentials("u", $0).makeProofKey() }
        #expect(authentication.proofKeys.sent == keys[0])
        #expect(authentication.proofKeys.accepted == [keys[1], keys[0]])
        try secret.set(["username": "u", "password": ""])
        authentication.reload(now: now)
        #expect(authentication.accepts(old) && authentication.accepts(new))
    }
}
