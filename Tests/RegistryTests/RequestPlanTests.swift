import NIOHTTP1
import OCI
import Routing
import Testing

@testable import Registry

/// What a request's head is read as, without a connection.
struct RequestPlanTests {
    private static let digest = "sha256:" + String(repeating: "0a", count: 32)
    private static let blob = "/v2/library/test/blobs/\(digest)?ns=docker.io"

    private func plan(
        _ target: String,
        _ method: HTTPMethod = .GET,
        _ headers: [(String, String)] = [("Host", "x")],
        rights: ClientRights = .all,
        configuration: RegistryConfiguration = RegistryConfiguration()
    ) -> RequestPlan {
        let head = HTTPRequestHead(version: .http1_1, method: method, uri: target, headers: HTTPHeaders(headers))
        return RequestPlan(head, RequestFields(head.headers), configuration: configuration, rights: rights)
    }

    private func content(_ plan: RequestPlan) throws -> ContentRequest {
        guard case .content(let request) = plan else { throw RawClient.Failure(what: "\(plan)") }
        return request
    }

    @Test func fieldNamesIgnoreCase() throws {
        let headers = [
            ("hOsT", "x"), ("RANGE", "bytes=5-9"), ("x-spegel-mirrored", "TRUE"), ("X-Spegel-Check", "True"),
            ("x-SPEGEL-external", "true"), ("if-none-match", "\"a\""), ("If-None-Match", "\"b\""),
            ("expect", "100-continue"), ("upgrade", "h2c"), ("authorization", "Basic x"),
        ]
        let fields = RequestFields(HTTPHeaders(headers))
        #expect(fields.hosts == 1 && fields.ranges == ["bytes=5-9"] && fields.noneMatch == ["\"a\"", "\"b\""])
        #expect(fields.isFromPeer && fields.wantsCheck && fields.isExternal && fields.asksForUpgrade)
        #expect(fields.expectation == "100-continue" && fields.authorization == "Basic x")
        let request = try content(plan(Self.blob, .GET, headers))
        #expect(request.range == .closed(first: 5, last: 9) && request.isFromPeer && request.wantsCheck)
        #expect(request.noneMatch == .tags(["a", "b"]) && request.isExternal)
    }

    @Test func firstOfRepeatedFieldCounts() {
        let names = ["X-Spegel-Mirrored", "X-Spegel-Check", "X-Spegel-External"]
        let fields = RequestFields(HTTPHeaders(names.flatMap { [($0, "false"), ($0, "true")] }))
        #expect(!fields.isFromPeer && !fields.wantsCheck && !fields.isExternal)
        let twice = HTTPHeaders([("Authorization", "a"), ("Authorization", "b"), ("Expect", "c"), ("Expect", "d")])
        #expect(RequestFields(twice).authorization == "a" && RequestFields(twice).expectation == "c")
    }

    @Test(arguments: ["Hosts", "Hos", "Ranges", "X-Spegel-Mirrores", "X_Spegel_Mirrored", "Content-Range"])
    func similarNamesDiffer(name: String) {
        #expect(RequestFields(HTTPHeaders([(name, "true")])) == RequestFields(HTTPHeaders()))
    }

    @Test func onlyPeersCanDemandCheck() throws {
        let request = try content(plan(Self.blob, .GET, [("Host", "x"), ("X-Spegel-Check", "true")]))
        #expect(!request.isFromPeer && !request.wantsCheck)
    }

    @Test(arguments: [
        ("/v2/", RequestHandler.content), ("/v2", .content), ("/v2?a", .content), ("/v2/x?ns=y", .content),
        ("/livez", .live), ("/livez?verbose", .live), ("/readyz", .ready), ("/readyzz", .other), ("/v22", .other),
        ("", .other), ("/", .other), ("http://h/v2/", .other),
    ])
    func targetsHaveHandlers(target: String, handler: RequestHandler) {
        #expect(RequestPlan.handler(of: target) == handler)
    }

    @Test func rightsApplyToContentOnly() {
        #expect(plan("/livez", rights: .wrongAddress) == .live)
        #expect(plan("/readyz", rights: .wrongCredentials) == .ready)
        #expect(plan(Self.blob, rights: .wrongAddress).rejection(.wrongAddress) == .address)
        #expect(plan("/v2/", rights: .wrongCredentials).rejection(.wrongCredentials) == .credentials)
        #expect(plan(Self.blob, rights: .unproven).rejection(.unproven) == .proof)
        #expect(plan(Self.blob, rights: .expired).rejection(.expired) == .expired)
        #expect(plan(Self.blob).rejection(.all) == nil && plan("/v2/a/blobs/x").rejection(.all) == nil)
    }

    @Test func clientsMayNameTheRegistryInThePath() throws {
        var configuration = RegistryConfiguration()
        let tag = "/v2/docker.io/library/test/manifests/1"
        #expect(try content(plan(tag)).key == "docker.io/library/test:1")
        #expect(try content(plan("/v2/quay.io/a/manifests/1?ns=docker.io")).key == "docker.io/quay.io/a:1")
        // A peer names it in the query only.
        let peer = [("Host", "x"), ("X-Spegel-Mirrored", "true")]
        guard case .refuse(let error) = plan(tag, .GET, peer) else { throw RawClient.Failure(what: "\(tag)") }
        #expect(error.status == 404 && error.message.contains("--default-registry"))
        let byDigest = "/v2/docker.io/library/test/blobs/\(Self.digest)"
        #expect(try content(plan(byDigest, .GET, peer)).content.registry == nil)
        #expect(try content(plan(byDigest)).content.registry?.text == "docker.io")

        // The filter applies however the registry is named.
        configuration.filter.registries = Set(["quay.io"].compactMap { RegistryName($0) })
        for target in [tag, byDigest] {
            guard case .refuse(let error) = plan(target, configuration: configuration), error.status == 404 else {
                throw RawClient.Failure(what: target)
            }
        }
        configuration.filter = ContentFilter(excluded: [try ReferencePattern("^docker.io/library/")])
        guard case .refuse = plan(tag, configuration: configuration) else { throw RawClient.Failure(what: tag) }
        #expect(
            try content(plan(tag.replacing("library", with: "other"), configuration: configuration)).key.hasSuffix(":1")
        )
    }

    @Test func defaultRegistryIsForClientsThatNameNone() throws {
        var configuration = RegistryConfiguration()
        let tag = "/v2/library/test/manifests/1"
        guard case .refuse = plan(tag, configuration: configuration) else { throw RawClient.Failure(what: tag) }
        configuration.defaultRegistry = RegistryName("docker.io")
        #expect(try content(plan(tag, .HEAD, configuration: configuration)).key == "docker.io/library/test:1")
        #expect(try content(plan(tag + "?ns=quay.io", configuration: configuration)).key == "quay.io/library/test:1")
        let named = "/v2/quay.io/a/manifests/1"
        #expect(try content(plan(named, configuration: configuration)).key == "quay.io/a:1")
        let peer = [("Host", "x"), ("X-Spegel-Mirrored", "true")]
        guard case .refuse = plan(tag, .GET, peer, configuration: configuration) else {
            throw RawClient.Failure(what: tag)
        }
    }

    @Test func refusesRequestWithTwoHosts() {
        for headers in [[], [("Host", "a"), ("host", "b")]] {
            guard case .reject(.badRequest, _) = plan(Self.blob, .GET, headers) else {
                Issue.record("\(headers)")
                continue
            }
        }
        #expect(throws: Never.self) { try content(plan("http://x\(Self.blob)")) }
    }
}
