import OCI
import Testing

@Suite("Reference")
struct ReferenceTests {
    private let digest = DigestTests.sha256

    @Test("parses a tag")
    func byTag() throws {
        let reference = try Reference("docker.io/library/alpine:3.20")
        #expect(reference.registry.text == "docker.io")
        #expect(reference.repository.text == "library/alpine")
        #expect(reference.tag?.text == "3.20")
        #expect(reference.digest == nil)
        #expect(reference.tagName == "docker.io/library/alpine:3.20")
    }

    @Test("parses a digest")
    func byDigest() throws {
        let reference = try Reference("registry.lab:5000/x@\(digest)")
        #expect(reference.registry.text == "registry.lab:5000")
        #expect(reference.repository.text == "x")
        #expect(reference.tag == nil)
        #expect(reference.digest?.text == digest)
        #expect(reference.tagName == nil)
    }

    @Test("parses a tag with a digest")
    func both() throws {
        let reference = try Reference("[fd00::1]:5000/x/y:1@\(digest)")
        #expect(reference.registry.text == "[fd00::1]:5000")
        #expect(reference.tag?.text == "1")
        #expect(reference.digest?.text == digest)
        #expect(reference.tagName == "[fd00::1]:5000/x/y:1")
    }

    @Test("names the fault in the error")
    func rejected() {
        let cases: [(String, Reference.ParseError)] = [
            ("", .missingRegistry),
            ("alpine", .missingRegistry),
            ("alpine:3", .missingRegistry),
            (digest, .missingRegistry),
            ("/alpine:3", .invalidRegistry("")),
            ("a b/alpine:3", .invalidRegistry("a b")),
            ("docker.io/:3", .invalidRepository("")),
            ("docker.io/Alpine:3", .invalidRepository("Alpine")),
            ("docker.io/../x:3", .invalidRepository("../x")),
            ("docker.io/x:", .invalidTag("")),
            ("docker.io/x:1:2", .invalidTag("1:2")),
            ("docker.io/x:1/y:2", .invalidTag("1/y:2")),
            ("docker.io/x@", .invalidDigest(.missingSeparator)),
            ("docker.io/x@md5:0", .invalidDigest(.unsupportedAlgorithm)),
            ("docker.io/x:1@sha256:0", .invalidDigest(.wrongLength(expected: 64, found: 1))),
            ("docker.io/x", .missingTagOrDigest),
            // Swift joins a combining mark with the slash before it into one character. The parser must still see the
            // slash.
            ("docker.io/\u{301}x:1", .invalidRepository("\u{301}x")),
            (String(repeating: "a", count: Reference.maximumLength + 1), .tooLong),
        ]
        for (text, error) in cases {
            #expect(throws: error, "\(text)") { try Reference(text) }
            #expect(!error.description.isEmpty)
        }
    }

    @Test("accepts parts of the maximum length")
    func longest() throws {
        let host = [63, 63, 63, 63].map { String(repeating: "a", count: $0) }.joined(separator: ".")
        let repository = String(repeating: "r", count: 255)
        let tag = String(repeating: "t", count: 128)
        let text = "\(host):65535/\(repository):\(tag)@\(DigestTests.sha512)"
        #expect(try Reference(text).description == text)
    }

    @Test("parsed reference keeps its text", arguments: 0..<500)
    func roundTrip(seed: UInt64) throws {
        var arbitrary = Arbitrary(seed: seed)
        var text = arbitrary.registryText() + "/" + arbitrary.repositoryText()
        let hasTag = arbitrary.bool()
        if hasTag { text += ":" + arbitrary.tagText() }
        if !hasTag || arbitrary.bool() { text += "@" + arbitrary.digestText() }
        let reference = try Reference(text)
        #expect(reference.description == text)
        #expect(try Reference(reference.description) == reference)
        if let name = reference.tagName {
            let byTag = try Reference(name)
            #expect(byTag.tag == reference.tag && byTag.repository == reference.repository && byTag.digest == nil)
        }
    }

    @Test("accepted random reference keeps its text", arguments: 0..<2000)
    func hostile(seed: UInt64) {
        var arbitrary = Arbitrary(seed: seed)
        let prefix = arbitrary.bool() ? "docker.io/" : ""
        let text = prefix + arbitrary.hostileText(upTo: 60)
        guard let reference = try? Reference(text) else { return }
        #expect(Array(reference.description.utf8) == Array(text.utf8))
    }
}
