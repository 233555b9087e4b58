import NIOCore
import OCI
import Testing

@testable import Registry

struct ManifestTypeCheckTests {
    @Test func documentHasItsNamedOrOwnType() {
        let manifest = #"{"schemaVersion": 2, "mediaType": "\#(MediaType.dockerManifest)", "layers": []}"#
        let plain = #"{"schemaVersion":2,"config":{"mediaType":"x","digest":"sha256:\#(zeros)","size":1},"layers":[]}"#
        let index = #"{"schemaVersion":2,"mediaType":"\#(MediaType.ociIndex)","manifests":[\#(child)]}"#
        let cases: [(String, String, Bool)] = [
            (manifest, MediaType.dockerManifest.text, true),
            (manifest, MediaType.dockerManifest.text.uppercased() + "; charset=utf-8", true),
            (manifest, MediaType.ociManifest.text, false), (manifest, "text/html", false),
            (plain, MediaType.ociManifest.text, true), (plain, MediaType.ociIndex.text, false),
            (plain, "application/octet-stream", false),
            // That a child is of a type does not make the index one.
            (index, MediaType.ociIndex.text, true), (index, MediaType.ociManifest.text, false),
            // Of what is no manifest nothing is known.
            ("{}", "text/html", true), ("", "", true), ("\"", "\"", true),
        ]
        for (document, type, passes) in cases {
            #expect(ManifestTypeCheck.passes(ByteBuffer(string: document), as: type) == passes, "\(type): \(document)")
        }
    }

    private var zeros: String { String(repeating: "0", count: 64) }

    private var child: String {
        #"{"mediaType":"\#(MediaType.ociManifest)","digest":"sha256:\#(zeros)","size":1}"#
    }
}
