import OCI
import Testing

@Suite("Tag, repository and registry names")
struct NameTests {
    @Test("tags", arguments: ["latest", "_", "1", "V1.2.3-rc.1_x", String(repeating: "a", count: 128)])
    func tag(text: String) throws {
        #expect(try #require(Tag(text)).description == text)
    }

    @Test(
        "rejects malformed tags",
        arguments: [
            "", ".a", "-a", "a b", "a/b", "a:b", "a@b", "é", "a\u{301}", "a\0", String(repeating: "a", count: 129),
        ]
    )
    func malformedTag(text: String) {
        #expect(Tag(text) == nil)
    }

    @Test(
        "repositories",
        arguments: [
            "a", "library/alpine", "a.b/c_d/e__f/g-h/i---j", "0/1", String(repeating: "a", count: 255),
            String(repeating: "a/", count: 127) + "a",
        ]
    )
    func repository(text: String) throws {
        #expect(try #require(RepositoryName(text)).description == text)
    }

    @Test(
        "rejects malformed repositories",
        arguments: [
            "", "/", "a/", "/a", "a//b", "A", "a..b", "a___b", "a.-b", "-a", "a-", ".", "..", "a/../b", "a b", "a:b",
            "a\\b",
            "é", "a\u{301}", "a%2Fb", String(repeating: "a", count: 256),
        ]
    )
    func malformedRepository(text: String) {
        #expect(RepositoryName(text) == nil)
    }

    @Test(
        "registries",
        arguments: [
            "docker.io", "localhost", "localhost:5000", "registry.lab:65535", "10.0.0.1:1", "[::1]", "[fd00::1]:5000",
            "a_b", "GHCR.io", String(repeating: "a", count: 63) + ".io",
        ]
    )
    func registry(text: String) throws {
        #expect(try #require(RegistryName(text)).description == text)
    }

    @Test(
        "rejects malformed registries",
        arguments: [
            "", ".", "..", "a..b", ".a", "a.", "-a", "a-", "a:", "a:0", "a:65536", "a:999999", "a:-1", "a:1:2", "a b",
            "a/b",
            "http://a", "a@b", "[", "[]", "[:]x", "[::1", "[::1]5000", "[::1]:", "[fe80::1%eth0]", "é.io",
            String(repeating: "a", count: 64) + ".io", String(repeating: "a.", count: 200) + "a",
        ]
    )
    func malformedRegistry(text: String) {
        #expect(RegistryName(text) == nil)
    }

    @Test("parsed names keep their text", arguments: 0..<300)
    func roundTrip(seed: UInt64) throws {
        var arbitrary = Arbitrary(seed: seed)
        let tag = arbitrary.tagText()
        #expect(Tag(tag)?.description == tag)
        let repository = arbitrary.repositoryText()
        #expect(RepositoryName(repository)?.description == repository)
        let registry = arbitrary.registryText()
        #expect(RegistryName(registry)?.description == registry)
    }

    @Test("accepted names contain no path traversal and no line break", arguments: 0..<2000)
    func hostile(seed: UInt64) {
        var arbitrary = Arbitrary(seed: seed)
        let text = arbitrary.hostileText(upTo: 40)
        let taken = [Tag(text)?.text, RepositoryName(text)?.text, RegistryName(text)?.text].compactMap { $0 }
        for name in taken {
            #expect(name == text)
            #expect(name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F })
            #expect(!name.split(separator: "/").contains(".."))
        }
    }
}
