import OCI
import Routing
import Testing

@testable import Registry

struct NamedRegistryTests {
    private func request(_ target: String) throws -> DistributionRequest {
        guard case .content(let content)? = try DistributionRequest.parse(target: target) else {
            throw RawClient.Failure(what: "no content")
        }
        return content
    }

    private let digest = "sha256:" + String(repeating: "a", count: 64)

    @Test func requestWithoutRegistryNamesOneThatIsKnown() throws {
        let quay = try #require(RegistryName("quay.io"))
        for kind in ["blobs", "manifests"] {
            let asked = try request("/v2/a/b/\(kind)/\(digest)")
            func path(_ filter: ContentFilter, _ known: RegistryName?) -> String {
                NamedRegistry.request(to: asked, filter: filter, known: known).path
            }
            let bare = "/v2/a/b/\(kind)/\(digest)"
            #expect(path(ContentFilter(), quay) == bare + "?ns=quay.io")
            #expect(path(ContentFilter(), nil) == bare + "?ns=docker.io")
            let others = Set(["z.example", "b.example:5000"].compactMap { RegistryName($0) })
            #expect(path(ContentFilter(registries: others), nil) == bare + "?ns=b.example%3A5000")
            // A peer with the same filter would refuse it.
            #expect(path(ContentFilter(registries: others), quay) == bare)
            #expect(path(ContentFilter(excluded: [try ReferencePattern("^docker.io/")]), nil) == bare)
        }
    }

    @Test func requestThatNamesARegistryIsUnchanged() throws {
        for target in ["/v2/a/blobs/\(digest)?ns=ghcr.io", "/v2/a/manifests/1?ns=ghcr.io", "/v2/a/manifests/1"] {
            let asked = try request(target)
            #expect(NamedRegistry.request(to: asked, filter: ContentFilter(), known: RegistryName("quay.io")) == asked)
        }
    }
}
