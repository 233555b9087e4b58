import OCI
import Testing

@testable import Routing

struct ContentFilterTests {
    @Test func tagNamesAreFullReferences() {
        let filter = ContentFilter()
        #expect(filter.tagName(ofImage: "docker.io/library/x:1") == "docker.io/library/x:1")
        #expect(filter.tagName(ofImage: "x:1") == nil)
        #expect(filter.tagName(ofImage: "sha256:" + String(repeating: "a", count: 64)) == nil)
        #expect(filter.tagName(ofImage: "docker.io/library/x@sha256:" + String(repeating: "a", count: 64)) == nil)
        #expect(filter.tagName(ofImage: "docker.io/library/x:1@sha256:" + String(repeating: "a", count: 64)) == nil)
    }

    @Test func otherRegistriesAreLeftOut() throws {
        let filter = ContentFilter(registries: [try #require(RegistryName("docker.io"))])
        #expect(filter.tagName(ofImage: "quay.io/x/y:1") == nil)
        #expect(filter.tagName(ofImage: "docker.io/x/y:1") != nil)
        #expect(!filter.allowsContent(ofImage: "quay.io/x/y:1"))
        // A name that says nothing of its registry is no reason to hold content back.
        #expect(filter.allowsContent(ofImage: "imported"))
    }
}
