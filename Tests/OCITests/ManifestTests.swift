import FoundationEssentials
import OCI
import TestSupport
import Testing

@Suite("Manifest, descriptor and media type")
struct ManifestTests {
    private static func digest(_ digit: Character) -> String {
        "sha256:" + String(repeating: digit, count: 64)
    }

    private static func descriptor(_ type: MediaType, _ digit: Character, size: String = "7") -> String {
        "{\"mediaType\":\"\(type)\",\"digest\":\"\(digest(digit))\",\"size\":\(size),\"annotations\":{\"a\":\"b\"}}"
    }

    private func manifest(_ json: String) throws(Manifest.ParseError) -> Manifest {
        try Manifest(json: Array(json.utf8))
    }

    @Test("media types")
    func mediaTypes() {
        for type in [MediaType.ociIndex, .dockerManifestList] {
            #expect(type.isIndex && !type.isManifest && type.isServedAsManifest)
        }
        for type in [MediaType.ociManifest, .dockerManifest] {
            #expect(!type.isIndex && type.isManifest && type.isServedAsManifest)
        }
        for type in [MediaType.ociConfig, .ociLayerGzip, .octetStream, MediaType("")] {
            #expect(!type.isServedAsManifest)
        }
    }

    @Test("index, with and without its own media type", arguments: [MediaType.ociIndex, .dockerManifestList, nil])
    func index(type: MediaType?) throws {
        let own = type.map { "\"mediaType\":\"\($0)\"," } ?? ""
        let children = [Self.descriptor(.ociManifest, "a"), Self.descriptor(.dockerManifest, "b", size: "9")]
        let index = try manifest(
            "{\"schemaVersion\":2,\(own)\"manifests\":[\(children.joined(separator: ","))],\"annotations\":{}}"
        )
        #expect(index.mediaType == type ?? .ociIndex)
        #expect(index.children.map(\.digest.text) == [Self.digest("a"), Self.digest("b")])
        #expect(index.children.map(\.mediaType) == [.ociManifest, .dockerManifest])
        #expect(index.children.map(\.size) == [7, 9])
    }

    @Test("image, with and without its own media type", arguments: [MediaType.ociManifest, .dockerManifest, nil])
    func image(type: MediaType?) throws {
        let own = type.map { "\"mediaType\":\"\($0)\"," } ?? ""
        let layers = [Self.descriptor(.ociLayerGzip, "b"), Self.descriptor(.ociLayerGzip, "c")].joined(separator: ",")
        let image = try manifest("{\(own)\"config\":\(Self.descriptor(.ociConfig, "a")),\"layers\":[\(layers)]}")
        #expect(image.mediaType == type ?? .ociManifest)
        #expect(image.children.map(\.digest.text) == ["a", "b", "c"].map(Self.digest))
    }

    @Test("artifact manifest names its blobs, image without layers its configuration")
    func artifacts() throws {
        let type = MediaType("application/vnd.oci.artifact.manifest.v1+json")
        let artifact = try manifest("{\"mediaType\":\"\(type)\",\"blobs\":[\(Self.descriptor(.octetStream, "d"))]}")
        #expect(artifact.mediaType == type)
        #expect(artifact.children.map(\.digest.text) == [Self.digest("d")])
        let empty = try manifest("{\"config\":\(Self.descriptor(.ociConfig, "e")),\"layers\":[]}")
        #expect(empty.children.map(\.digest.text) == [Self.digest("e")])
        #expect(try manifest("{\"manifests\":[]}").children.isEmpty)
    }

    @Test("descriptor without media type is octets; unknown fields are ignored")
    func defaults() throws {
        let index = try manifest("{\"manifests\":[{\"digest\":\"\(Self.digest("a"))\",\"size\":0,\"x\":[{}]}],\"y\":1}")
        #expect(index.children.first?.mediaType == .octetStream)
        #expect(index.children.first?.size == 0)
    }

    @Test(
        "rejects documents that are not manifests",
        arguments: ["{}", "{\"fsLayers\":[]}", "{\"mediaType\":\"x\"}", "{\"layers\":null}"]
    )
    func notManifests(json: String) {
        #expect(throws: Manifest.ParseError.notAManifest) { try manifest(json) }
    }

    private static let malformedDocuments = [
        "", " ", "null", "[]", "1", "\"x\"", "{", "{\"layers\":", "{\"layers\":[}", "{\"layers\":{}}",
        "{\"layers\":[1]}",
        "{\"manifests\":[{}]}", "{\"manifests\":[null]}", "{\"manifests\":\"x\"}", "{\"config\":[],\"layers\":[]}",
        "{\"mediaType\":1,\"layers\":[]}", "{\"layers\":[]} trailing", "\u{0}",
        "{\"layers\":[\(descriptor(.ociLayerGzip, "a", size: "-1"))]}",
        "{\"layers\":[\(descriptor(.ociLayerGzip, "a", size: "1.5"))]}",
        "{\"layers\":[\(descriptor(.ociLayerGzip, "a", size: "9223372036854775808"))]}",
        "{\"layers\":[\(descriptor(.ociLayerGzip, "a", size: "\"1\""))]}",
        "{\"layers\":[\(descriptor(.ociLayerGzip, "G"))]}",
    ]

    @Test("rejects malformed documents", arguments: ManifestTests.malformedDocuments)
    func malformed(json: String) {
        do {
            let result = try manifest(json)
            Issue.record("parsed as \(result)")
        } catch {
            guard case .malformed(let reason) = error else {
                Issue.record("\(error)")
                return
            }
            #expect(!reason.isEmpty)
        }
    }

    @Test("error names the field")
    func errorPath() {
        do {
            _ = try manifest("{\"layers\":[{\"digest\":\"x\",\"size\":1}]}")
            Issue.record("taken")
        } catch {
            #expect(error.description.contains("layers"))
            #expect(error.description.contains("digest"))
        }
    }

    @Test("rejects oversized documents")
    func tooLarge() {
        let size = Manifest.maximumSize + 1
        #expect(throws: Manifest.ParseError.tooLarge(size)) {
            try Manifest(json: repeatElement(UInt8(ascii: " "), count: size))
        }
    }

    @Test("parses documents of the maximum size")
    func large() throws {
        let one = Self.descriptor(.ociLayerGzip, "a")
        let count = (Manifest.maximumSize - 20) / (one.utf8.count + 1)
        let json = "{\"layers\":[\(repeatElement(one, count: count).joined(separator: ","))]}"
        #expect(try manifest(json).children.count == count)
    }

    @Test("rejects deep nesting without overflowing the stack", arguments: ["[", "{\"a\":", "{\"layers\":["])
    func nesting(opening: String) async {
        let json = String(repeating: opening, count: (1 << 20) / opening.utf8.count)
        // On a thread of the pool, which has the smallest stack that parses manifests.
        let task = Task.detached { try Manifest(json: Array(json.utf8)) }
        await #expect(throws: Manifest.ParseError.self) { try await task.value }
    }

    @Test("never traps on random bytes or mutated manifests", arguments: 0..<1000)
    func hostile(seed: UInt64) {
        var arbitrary = Arbitrary(seed: seed)
        _ = try? manifest(arbitrary.hostileText(upTo: 200))
        var bytes = Array("{\"config\":\(Self.descriptor(.ociConfig, "a")),\"layers\":[]}".utf8)
        for _ in 0..<arbitrary.int(1...4) {
            bytes[arbitrary.int(0...(bytes.count - 1))] = UInt8(truncatingIfNeeded: arbitrary.generator.next())
        }
        if let manifest = try? Manifest(json: bytes) {
            #expect(manifest.children.allSatisfy { $0.size >= 0 })
        }
    }

    @Test("descriptor decodes to itself and never has a negative size")
    func descriptorRoundTrip() throws {
        let digest = try Digest(Self.digest("a"))
        let descriptor = Descriptor(mediaType: .ociManifest, digest: digest, size: 12)
        let data = try JSONEncoder().encode(descriptor)
        #expect(try JSONDecoder().decode(Descriptor.self, from: data) == descriptor)
        #expect(Descriptor(mediaType: .ociManifest, digest: digest, size: -1).size == 0)
    }
}
