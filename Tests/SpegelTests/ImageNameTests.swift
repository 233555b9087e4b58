import OCI
import Testing

@testable import spegel

struct ImageNameTests {
    private static let digest = "sha256:" + String(repeating: "ab", count: 32)

    @Test(
        arguments: [
            ("alpine", "docker.io/library/alpine:latest"), ("alpine:3", "docker.io/library/alpine:3"),
            ("grafana/grafana", "docker.io/grafana/grafana:latest"), ("quay.io/a/b:1", "quay.io/a/b:1"),
            ("quay.io/a/b", "quay.io/a/b:latest"), ("localhost/a", "localhost/a:latest"),
            ("registry:5000/a", "registry:5000/a:latest"), ("alpine@\(digest)", "docker.io/library/alpine@\(digest)"),
            ("quay.io/a:1@\(digest)", "quay.io/a:1@\(digest)"), (digest, digest),
            ("docker.io/nginx", "docker.io/library/nginx:latest"), ("docker.io/alpine:3", "docker.io/library/alpine:3"),
            ("docker.io/alpine@\(digest)", "docker.io/library/alpine@\(digest)"),
            ("index.docker.io/alpine:3", "docker.io/library/alpine:3"), ("docker.io/a/b", "docker.io/a/b:latest"),
        ]
    )
    func namesAreCompleted(_ text: String, _ expected: String) throws {
        #expect(try ImageName(text).description == expected)
    }

    @Test(arguments: [
        "", " ", "a b", "UPPER", "a:b:c", "docker.io/", "@", "a@sha256:12", String(repeating: "a", count: 5000),
    ])
    func whatIsNoImageIsSaid(_ text: String) {
        let error = #expect(throws: ImageName.Malformed.self) { try ImageName(text) }
        #expect(error?.description.isEmpty == false)
    }

    @Test func documentsSayWhatTheyName() throws {
        let other = "sha256:" + String(repeating: "cd", count: 32)
        let index = try ImageDocument(
            Array(
                """
                {"manifests":[{"digest":"\(other)","size":1,"platform":{"os":"plan9","architecture":"mips"}},
                {"digest":"\(Self.digest)","size":2,"platform":{"os":"linux",
                "architecture":"\(ImageDocument.ownPlatform.dropFirst(6))","variant":"v8"}}]}
                """.utf8
            )
        )
        #expect(index.isIndex && index.children.map(\.platform) == ["plan9/mips", ImageDocument.ownPlatform + "/v8"])
        #expect(index.ownChild?.descriptor.digest.text == Self.digest)
        let manifest = try ImageDocument(
            Array(
                #"{"config":{"digest":"\#(other)","size":1},"layers":[{"digest":"\#(Self.digest)","size":2}]}"#.utf8
            )
        )
        #expect(!manifest.isIndex && manifest.children.map(\.isConfig) == [true, false])
        let foreign = try ImageDocument(
            Array(
                #"{"manifests":[{"digest":"\#(other)","size":1,"platform":{"os":"plan9","architecture":"mips"}}]}"#.utf8
            )
        )
        #expect(foreign.ownChild == nil)
        let plain = try ImageDocument(Array(#"{"manifests":[{"digest":"\#(other)","size":1}]}"#.utf8))
        #expect(plain.ownChild?.descriptor.digest.text == other)
        #expect(throws: Manifest.ParseError.self) { try ImageDocument(Array("{}".utf8)) }
    }

    @Test func gateAdmitsUpToItsLimit() async {
        let gate = Gate(limit: 1)
        let outer = await gate.run {
            #expect(!gate.isOpen)
            return await gate.run { 1 } == nil
        }
        #expect(outer == true)
        #expect(await gate.run { 2 } == 2)
        #expect(await Gate(limit: 0).run { 3 } == nil)
    }

    @Test func timeIsLimited() async {
        #expect(await withTimeLimit(.seconds(60)) { 1 } == 1)
        let late = await withTimeLimit(.milliseconds(10)) {
            try? await Task.sleep(for: .seconds(60))
            return 1
        }
        #expect(late == nil)
    }
}
