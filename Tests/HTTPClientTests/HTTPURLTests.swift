import HTTPClient
import TestSupport
import Testing

struct HTTPURLTests {
    @Test(
        arguments: [
            ("http://h", false, "h", 80, "", "h"), ("https://h/", true, "h", 443, "/", "h"),
            ("https://10.0.0.1:6443/a?b=c#d", true, "10.0.0.1", 6443, "/a?b=c", "10.0.0.1:6443"),
            ("http://[fd00::1]:5002/id", false, "fd00::1", 5002, "/id", "[fd00::1]:5002"),
            ("http://h?x", false, "h", 80, "/?x", "h"),
        ] as [(String, Bool, String, UInt16, String, String)]
    )
    func urlsAreRead(
        _ text: String,
        _ isSecure: Bool,
        _ host: String,
        _ port: UInt16,
        _ path: String,
        _ authority: String
    ) throws {
        let url = try #require(HTTPURL(text))
        #expect(url.isSecure == isSecure && url.host == host && url.port == port && url.path == path)
        #expect(url.authority == authority)
        #expect(HTTPURL(url.description) == url)
    }

    @Test(arguments: [
        "", "h", "ftp://h", "http://", "http:///x", "http://u:p@h", "http://h:", "http://h:0", "http://h:70000",
        "http://h:x",
        "http://[::1", "http://[h]", "http://h /", "http://h\r\nX: y/", "http://é",
    ])
    func othersAreRefused(_ text: String) {
        #expect(HTTPURL(text) == nil)
    }

    @Test func randomTextNeverTraps() {
        var generator = SeededGenerator()
        let pieces = ["http://", "https://", "[", "]", ":", "/", "?", "#", "a", "1", "::", "@", " "]
        for _ in 0..<5000 {
            let count = Int.random(in: 0...8, using: &generator)
            let text = (0..<count).map { _ in pieces.randomElement(using: &generator) ?? "" }.joined()
            if let url = HTTPURL(text) { #expect(HTTPURL(url.description) == url, "seed \(generator.seed)") }
        }
    }
}
