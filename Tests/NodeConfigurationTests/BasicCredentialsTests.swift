import Files
import Testing

@Suite("BasicCredentials")
struct BasicCredentialsTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    @Test("the field is what RFC 7617, section 2, gives as its example")
    func header() {
        let credentials = BasicCredentials(username: "Aladdin", password: "open sesame")
        #expect(credentials.headerValue == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
    }

    @Test("UTF-8 is kept, as in RFC 7617, section 2.1")
    func utf8() {
        #expect(BasicCredentials(username: "test", password: "123\u{A3}").headerValue == "Basic dGVzdDoxMjPCow==")
    }

    @Test("both files are read, without a line end at their end")
    func files() throws {
        #expect(try BasicCredentials.read(folder: folder.path) == nil)
        #expect(try BasicCredentials.read(folder: folder.path + "/missing") == nil)
        try folder.write("node\n", to: "username")
        #expect(
            try BasicCredentials.read(folder: folder.path) == BasicCredentials(username: "node", password: "")
        )
        try folder.write("a:b c\r\n", to: "password")
        #expect(
            try BasicCredentials.read(folder: folder.path) == BasicCredentials(username: "node", password: "a:b c")
        )
        try folder.write("", to: "username")
        try folder.write("\n", to: "password")
        #expect(try BasicCredentials.read(folder: folder.path) == nil)
    }

    @Test("what the scheme cannot carry is told without showing it")
    func refused() throws {
        try folder.write("secret", to: "password")
        for text in ["a:b", "a\nb", "a\n\n", "\u{7}"] {
            try folder.write(text, to: "username")
            let error = try #require(throws: BasicCredentials.ReadError.self) {
                try BasicCredentials.read(folder: folder.path)
            }
            #expect("\(error)".contains(folder.path + "/username") && !"\(error)".contains("secret"))
        }
        try folder.write("a", to: "username")
        try folder.write(String(repeating: "x", count: 2000), to: "password")
        #expect(throws: BasicCredentials.ReadError.self) { try BasicCredentials.read(folder: folder.path) }
    }
}
