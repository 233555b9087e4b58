import Files
import Glibc
import Testing

@testable import spegel

final class BasicCredentialsTests {
    private let folder: String

    init() throws {
        let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        folder = base + "/spegel-test-" + String(UInt64.random(in: .min ... .max), radix: 36)
        try Files.makeFolder(folder)
    }

    deinit { try? Files.remove(folder) }

    private func write(_ text: String, _ name: String) throws {
        try Files.replace(folder + "/" + name, with: Array(text.utf8))
    }

    /// The examples of RFC 7617, sections 2 and 2.1.
    @Test(arguments: [
        ("Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ("test", "123\u{A3}", "Basic dGVzdDoxMjPCow=="),
    ])
    func theFieldIsThatOfTheSpecification(_ username: String, _ password: String, _ value: String) throws {
        try write(username, "username")
        try write(password, "password")
        #expect(try BasicCredentials.read(folder: folder)?.headerValue == value)
        // As with Spegel v0.7, a line end counts.
        try write(password + "\n", "password")
        #expect(try BasicCredentials.read(folder: folder)?.headerValue != value)
    }

    @Test func withoutTheFolderThereAreNone() throws {
        #expect(try BasicCredentials.read(folder: folder + "/missing") == nil)
    }

    @Test func whatIsMissingOrMakesNoSenseIsToldWithoutShowingIt() throws {
        #expect(throws: BasicCredentials.ReadError.missing(path: folder + "/username")) {
            try BasicCredentials.read(folder: folder)
        }
        try write("name", "username")
        try write("", "password")
        #expect(throws: BasicCredentials.ReadError.missing(path: folder + "/password")) {
            try BasicCredentials.read(folder: folder)
        }
        try write("secret", "password")
        try write("a:b", "username")
        let error = #expect(throws: BasicCredentials.ReadError.self) { try BasicCredentials.read(folder: folder) }
        #expect(error.map { "\($0)".contains("secret") } == false)
        try write(String(repeating: "x", count: 2000), "password")
        #expect(throws: BasicCredentials.ReadError.self) { try BasicCredentials.read(folder: folder) }
    }
}
