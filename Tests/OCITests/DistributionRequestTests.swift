import OCI
import Testing

@Suite("DistributionRequest")
struct DistributionRequestTests {
    private let digest = DigestTests.sha256

    private func content(_ target: String) throws -> DistributionRequest {
        guard case .content(let request) = try DistributionRequest.parse(target: target) else {
            throw DistributionError(.unsupported, "no content: \(target)")
        }
        return request
    }

    @Test("base path", arguments: ["/v2/", "/v2", "/v2/?ns=docker.io"])
    func base(target: String) throws {
        #expect(try DistributionRequest.parse(target: target) == .base)
    }

    @Test("manifest by tag")
    func manifestByTag() throws {
        let request = try content("/v2/library/alpine/manifests/3.20?ns=docker.io")
        #expect(request.kind == .manifest)
        #expect(request.repository.text == "library/alpine")
        #expect(request.registry?.text == "docker.io")
        #expect(request.key == "docker.io/library/alpine:3.20")
        #expect(request.path == "/v2/library/alpine/manifests/3.20?ns=docker.io")
        #expect(request.notFound.code == .manifestUnknown)
        #expect(request.notFound.status == 404)
    }

    @Test("tag without registry has no key")
    func noKey() throws {
        #expect(try content("/v2/x/manifests/1").key == nil)
        #expect(try content("/v2/x/manifests/1?ns=").key == nil)
        #expect(try content("/v2/x/manifests/1?other=docker.io").key == nil)
    }

    @Test("content by digest, escaped or not, with or without a registry")
    func byDigest() throws {
        let blob = try content("/v2/x/blobs/\(digest)")
        #expect(blob.kind == .blob)
        #expect(blob.key == digest)
        #expect(blob.registry == nil)
        #expect(blob.notFound.code == .blobUnknown)
        let escaped = digest.replacing(":", with: "%3a")
        let manifest = try content("/v2/a/b/c/manifests/\(escaped)?x=y&ns=registry.lab%3A5000&z")
        #expect(manifest.kind == .manifest)
        #expect(manifest.key == digest)
        #expect(manifest.registry?.text == "registry.lab:5000")
        #expect(manifest.path == "/v2/a/b/c/manifests/\(digest)?ns=registry.lab%3A5000")
    }

    @Test(
        "first component of the path is the registry where the query has none",
        arguments: [
            ("docker.io/library/alpine", "docker.io", "library/alpine"),
            ("registry.corp:5000/team/app", "registry.corp:5000", "team/app"),
            ("registry.corp%3A5000/team/app", "registry.corp:5000", "team/app"),
            ("registry.corp_5000/team/app", "registry.corp:5000", "team/app"),
            ("my_registry.corp/app", "my_registry.corp", "app"),
            ("localhost/app", "localhost", "app"),
            ("localhost:5000/app", "localhost:5000", "app"),
            ("localhost_5000/app", "localhost:5000", "app"),
            ("Registry.Corp/app", "Registry.Corp", "app"),
            ("[fd00::1]:5000/app", "[fd00::1]:5000", "app"),
            ("10.0.0.1_443/app", "10.0.0.1:443", "app"),
            ("harbor.corp/docker.io/library/alpine", "harbor.corp", "docker.io/library/alpine"),
            // Not registries.
            ("library/alpine", "default.example", "library/alpine"),
            ("alpine", "default.example", "alpine"),
            ("docker.io", "default.example", "docker.io"),
            ("team_5000/app", "default.example", "team_5000/app"),
            ("localhost_70000/app", "default.example", "localhost_70000/app"),
            ("team/docker.io/app", "default.example", "team/docker.io/app"),
        ]
    )
    func registryInPath(name: String, registry: String, repository: String) throws {
        let fallback = DistributionRequest.Fallback.path(default: RegistryName("default.example"))
        for rest in ["manifests/1", "blobs/\(digest)"] {
            let path = try DistributionRequest.parse(target: "/v2/\(name)/\(rest)?x=y", fallback: fallback)
            guard case .content(let request) = path else {
                Issue.record("\(name)")
                continue
            }
            #expect(request.registry?.text == registry && request.repository.text == repository)
            // What is sent to peers is what containerd would have asked for.
            #expect(try content(request.path) == request)
            #expect(request.path.hasPrefix("/v2/\(repository)/") && request.path.contains("?ns="))
        }
    }

    @Test("registry in the query wins over one in the path")
    func registryInBoth() throws {
        let fallback = DistributionRequest.Fallback.path(default: RegistryName("default.example"))
        let target = "/v2/docker.io/library/alpine/manifests/3?ns=harbor.corp"
        for fallback in [fallback, .none] {
            guard case .content(let request) = try DistributionRequest.parse(target: target, fallback: fallback) else {
                Issue.record("no content")
                continue
            }
            #expect(request.key == "harbor.corp/docker.io/library/alpine:3")
        }
        #expect(try content("/v2/docker.io/library/alpine/manifests/3").key == nil)
    }

    @Test("path without a registry has none without a default, and errors stay errors")
    func noFallback() throws {
        let fallback = DistributionRequest.Fallback.path(default: nil)
        guard
            case .content(let request) = try DistributionRequest.parse(
                target: "/v2/library/alpine/manifests/3",
                fallback: fallback
            )
        else { return #expect(Bool(false)) }
        #expect(request.registry == nil && request.key == nil)
        for name in ["docker.io/", "docker.io/A", "docker.io//a", "a%2Eb%2Fc/x", "docker.io:0/a", "/a", "a..b/x"] {
            #expect(throws: DistributionError.self, "\(name)") {
                try DistributionRequest.parse(target: "/v2/\(name)/manifests/3", fallback: fallback)
            }
        }
    }

    @Test("path component of a registry leads back to it", arguments: 0..<300)
    func pathComponents(seed: UInt64) throws {
        var arbitrary = Arbitrary(seed: seed)
        let name = try #require(RegistryName(arbitrary.registryText()))
        guard let component = name.pathComponent else { return }
        #expect(RegistryName(pathComponent: component) == name && RepositoryName(component) != nil)
    }

    @Test("some registries have no path component")
    func withoutPathComponent() throws {
        let components = [
            "docker.io", "registry.corp:5000", "localhost", "registry", "registry:5000", "Quay.io", "[::1]:5",
        ]
        .map { RegistryName($0)?.pathComponent }
        #expect(components == ["docker.io", "registry.corp_5000", "localhost", nil, nil, nil, nil])
    }

    @Test("repository may have the API's words in its name")
    func wordsAsNames() throws {
        #expect(try content("/v2/manifests/blobs/manifests/blobs").repository.text == "manifests/blobs")
        #expect(try content("/v2/manifests/blobs/manifests/blobs").key == nil)
        #expect(try content("/v2/blobs/blobs/\(digest)").repository.text == "blobs")
    }

    @Test(
        "ignores paths of other APIs",
        arguments: [
            "", "/", "v2/", "/v1/", "/v2x", "//v2/", "/v2/x", "/v2/_catalog", "/v2/x/tags/list", "/v2/manifests/1",
            "/v2/x/blobs/uploads/", "/v2/x/Manifests/1", "/v2/x/referrers/sha256:00", "*", "http://a/v2/x/manifests/1",
        ]
    )
    func other(target: String) throws {
        #expect(try DistributionRequest.parse(target: target) == nil)
    }

    @Test("error names the malformed part")
    func rejected() {
        let zeros = String(repeating: "0", count: 63)
        let cases: [(String, DistributionError.Code, Int)] = [
            ("/v2//manifests/1", .nameInvalid, 400),
            ("/v2/A/manifests/1", .nameInvalid, 400),
            ("/v2/../../etc/manifests/passwd", .nameInvalid, 400),
            ("/v2/a%2Fb/manifests/1", .nameInvalid, 400),
            ("/v2/a//b/blobs/\(digest)", .nameInvalid, 400),
            ("/v2/x/manifests/1?ns=a%20b", .nameInvalid, 400),
            ("/v2/x/manifests/1?ns=a%", .nameInvalid, 400),
            ("/v2/x/manifests/1?ns=a%ff", .nameInvalid, 400),
            ("/v2/x/manifests/", .manifestInvalid, 400),
            ("/v2/x/manifests/.hidden", .manifestInvalid, 400),
            ("/v2/x/manifests/a%20b", .manifestInvalid, 400),
            ("/v2/x/manifests/%zz", .manifestInvalid, 400),
            ("/v2/x/manifests/%ff", .manifestInvalid, 400),
            ("/v2/x/manifests/\(String(repeating: "t", count: 129))", .manifestInvalid, 400),
            ("/v2/x/manifests/sha256:\(zeros)", .digestInvalid, 400),
            ("/v2/x/manifests/md5:00", .digestInvalid, 400),
            ("/v2/x/blobs/", .digestInvalid, 400),
            ("/v2/x/blobs/latest", .digestInvalid, 400),
            ("/v2/x/blobs/sha256:\(zeros)G", .digestInvalid, 400),
            ("/v2/x/blobs/\(digest)%00", .digestInvalid, 400),
            ("/v2/" + String(repeating: "a", count: 5000) + "/manifests/1", .nameInvalid, 400),
        ]
        for (target, code, status) in cases {
            do {
                let path = try DistributionRequest.parse(target: target)
                Issue.record("\(target) parsed as \(String(describing: path))")
            } catch {
                #expect(error.code == code, "\(target)")
                #expect(error.status == status, "\(target)")
                #expect((error.detail?.count ?? 0) <= 256)
            }
        }
    }

    @Test("parses its own path to the same request", arguments: 0..<500)
    func roundTrip(seed: UInt64) throws {
        var arbitrary = Arbitrary(seed: seed)
        let repository = try #require(RepositoryName(arbitrary.repositoryText()))
        let registry = arbitrary.bool() ? RegistryName(arbitrary.registryText()) : nil
        let kind: DistributionRequest.Kind = arbitrary.bool() ? .blob : .manifest
        let target: DistributionRequest.Target
        if kind == .blob || arbitrary.bool() {
            target = try .digest(Digest(arbitrary.digestText()))
        } else {
            target = .tag(try #require(Tag(arbitrary.tagText())))
        }
        let request = DistributionRequest(kind: kind, repository: repository, target: target, registry: registry)
        #expect(try content(request.path) == request)
    }

    @Test("parses random targets to values that are safe to forward", arguments: 0..<3000)
    func hostile(seed: UInt64) {
        var arbitrary = Arbitrary(seed: seed)
        let prefix = arbitrary.element(of: ["", "/v2/", "/v2/x/manifests/", "/v2/x/blobs/", "/v2/x/manifests/1?ns="])
        let target = prefix + arbitrary.hostileText(upTo: 200)
        guard case .content(let request)? = try? DistributionRequest.parse(target: target) else { return }
        #expect(request.path.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F })
        #expect((try? DistributionRequest.parse(target: request.path)) == .content(request))
    }
}
