import ContentStore
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

    @Test func withholdsOtherRegistries() throws {
        let filter = ContentFilter(registries: [try #require(RegistryName("docker.io"))])
        #expect(filter.tagName(ofImage: "quay.io/x/y:1") == nil)
        #expect(filter.tagName(ofImage: "docker.io/x/y:1") != nil)
        #expect(filter.verdict(ofImage: "quay.io/x/y:1") == .withheld)
        #expect(filter.verdict(ofImage: "docker.io/x/y:1") == .shared)
        // A name without a registry does not withhold its content.
        #expect(filter.verdict(ofImage: "imported") == .unsaid)
        #expect(!filter.sharesAllContent)
    }

    /// As in Spegel v0.7, a pattern applies wherever it matches.
    @Test func patternsWithholdMatchingImages() throws {
        let filter = ContentFilter(excluded: [
            try ReferencePattern(":latest$"), try ReferencePattern("^quay.io/secret/"),
        ])
        #expect(filter.verdict(ofImage: "docker.io/x/y:1") == .shared)
        #expect(filter.verdict(ofImage: "docker.io/x/y:latest") == .withheld)
        #expect(filter.verdict(ofImage: "quay.io/secret/y:1") == .withheld)
        // By digest an image has no tag.
        let digest = "sha256:" + String(repeating: "a", count: 64)
        #expect(filter.verdict(ofImage: "docker.io/x/y@\(digest)") == .shared)
        #expect(filter.verdict(ofImage: "quay.io/secret/y@\(digest)") == .withheld)
        #expect(filter.verdict(ofImage: digest) == .unsaid)
        #expect(filter.tagName(ofImage: "docker.io/x/y:latest") == nil)
    }

    /// containerd's label has `registry.lab` for content from `registry.lab:5000`.
    @Test func matchesLabelsWithoutPort() throws {
        func source(_ text: String, _ repository: String = "team/x") throws -> ContentSource {
            ContentSource(
                registry: try #require(RegistryName(text)),
                repository: try #require(RepositoryName(repository))
            )
        }
        var filter = ContentFilter(registries: [
            try #require(RegistryName("registry.lab:5000")), try #require(RegistryName("docker.io")),
        ])
        #expect(try filter.allows(source("registry.lab")))
        #expect(try filter.allows(source("registry.lab:5000")))
        #expect(try filter.allows(source("docker.io")))
        #expect(try !filter.allows(source("registry.lab:6000")))
        #expect(try !filter.allows(source("other.lab")))
        filter.excluded = [try ReferencePattern("^registry.lab:5000/secret/")]
        #expect(try filter.allows(source("registry.lab")))
        #expect(try !filter.allows(source("registry.lab", "secret/x")))
    }

    @Test(
        arguments: [
            ("/v2/x/manifests/1?ns=docker.io", true), ("/v2/x/manifests/latest?ns=docker.io", false),
            ("/v2/x/manifests/1?ns=quay.io", false), ("/v2/x/manifests/1", true),
            ("/v2/secret/x/manifests/DIGEST?ns=docker.io", false), ("/v2/x/blobs/DIGEST?ns=docker.io", true),
            ("/v2/x/blobs/DIGEST?ns=quay.io", false), ("/v2/x/blobs/DIGEST", true),
        ] as [(String, Bool)]
    )
    func appliesToRequests(_ target: String, _ isAllowed: Bool) throws {
        let filter = ContentFilter(
            registries: [try #require(RegistryName("docker.io"))],
            excluded: [try ReferencePattern(":latest$"), try ReferencePattern("/secret/")]
        )
        let digest = "sha256:" + String(repeating: "a", count: 64)
        let path = try DistributionRequest.parse(target: target.replacing("DIGEST", with: digest))
        guard case .content(let request) = path else {
            Issue.record("no request: \(target)")
            return
        }
        #expect(filter.allows(request) == isAllowed)
        var byDigest = filter
        byDigest.sharesTags = false
        let isTag = if case .tag = request.target { true } else { false }
        #expect(byDigest.allows(request) == (isAllowed && !isTag))
    }
}
