import NodeConfiguration
import Testing

@Suite("RegistryURL")
struct RegistryURLTests {
    @Test(
        "accepts a scheme, a host and a port",
        arguments: [
            ("https://docker.io", "https://docker.io"),
            ("http://registry.lab:5000", "http://registry.lab:5000"),
            ("HTTPS://GHCR.io", "https://ghcr.io"),
            ("http://127.0.0.1:30020", "http://127.0.0.1:30020"),
            ("http://[fd00::1]:5000", "http://[fd00::1]:5000"),
        ]
    )
    func accepted(text: String, description: String) throws {
        #expect(try RegistryURL(text).description == description)
    }

    @Test("an IPv6 address without brackets: names them and the chart's value")
    func brackets() {
        let error = #expect(throws: RegistryURL.ParseError.self) { try RegistryURL("http://fd00::7:30020") }
        #expect(error?.description.contains("http://[fd00::1]:30020") == true)
        #expect(error?.description.contains("service.registry.ipv6") == true)
        let other = #expect(throws: RegistryURL.ParseError.self) { try RegistryURL("http://a:99999") }
        #expect(other?.description.contains("brackets") == false)
    }

    @Test("names the fault in the error")
    func rejected() {
        let cases: [(String, RegistryURL.ParseError)] = [
            ("", .missingScheme("")),
            ("docker.io", .missingScheme("docker.io")),
            ("docker.io:443", .missingScheme("docker.io:443")),
            ("ftp://docker.io", .unsupportedScheme("ftp", url: "ftp://docker.io")),
            ("://docker.io", .unsupportedScheme("", url: "://docker.io")),
            ("https://docker.io/", .trailingPart("/", url: "https://docker.io/")),
            ("https://docker.io/library", .trailingPart("/library", url: "https://docker.io/library")),
            ("https://docker.io?x", .trailingPart("?x", url: "https://docker.io?x")),
            ("https://docker.io#x", .trailingPart("#x", url: "https://docker.io#x")),
            ("https://me:secret@docker.io", .userInformation),
            ("https://", .invalidHost("", url: "https://")),
            ("https://..", .invalidHost("..", url: "https://..")),
            ("https://a b", .invalidHost("a b", url: "https://a b")),
            ("https://a:0", .invalidHost("a:0", url: "https://a:0")),
            ("https://a:99999", .invalidHost("a:99999", url: "https://a:99999")),
            ("https://_backup", .invalidHost("_backup", url: "https://_backup")),
            ("https://_default", .invalidHost("_default", url: "https://_default")),
            ("https://a\"\n]", .invalidHost("a\"\n]", url: "https://a\"\n]")),
        ]
        for (text, error) in cases {
            #expect(throws: error, "\(text)") { try RegistryURL(text) }
            #expect(error.description.contains("expected"))
            #expect(!error.description.contains("secret"))
        }
    }
}
