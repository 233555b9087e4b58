import Foundation
import HTTPServer
import Logging
import Multiformats
import NIOCore
import Registry
import TestSupport
import Testing

@testable import spegel

/// Who may use `/debug/`.
struct DebugAccessTests {
    private static let path = "/debug/api/status"

    private func response(_ access: DebugAccess, _ address: String?, _ authorization: String? = nil) async throws
        -> ServerResponse
    {
        var request = ServerRequest(path: Self.path)
        request.client.address = try address.map { try SocketAddress(ipAddress: $0, port: 1234) }
        request.client.authorization = authorization
        let handlers = access.guarding([Self.path: { _ in .text("names of images") }])
        let handler = try #require(handlers[Self.path])
        return await handler(request)
    }

    private let access = DebugAccess(isOwn: { $0 == (try? IPAddress("192.0.2.7")) })

    @Test(arguments: ["127.0.0.1", "127.3.4.5", "::1", "::ffff:127.0.0.1", "192.0.2.7", "::ffff:192.0.2.7"])
    func answersClientsOnTheNode(address: String) async throws {
        #expect(try await response(access, address).status == 200)
    }

    @Test(arguments: [nil, "192.0.2.8", "::ffff:192.0.2.8", "2001:db8::1", "10.0.0.1", "fe80::1"])
    func tellsOthersNothing(address: String?) async throws {
        let refused = try await response(access, address)
        #expect(refused.status == 403 && refused.fields.isEmpty)
        guard case .text(let text) = refused.body else {
            Issue.record("expected a text")
            return
        }
        #expect(!text.contains("names of images") && text.contains("port-forward"))
        #expect(try await response(access, address, "Basic bm9kZTpyaWdodA==").status == 403)
    }

    @Test func answersOthersThatKnowThePassword() async throws {
        let folder = try TemporaryFolder()
        try "node".write(toFile: folder.path + "/username", atomically: true, encoding: .utf8)
        try "right".write(toFile: folder.path + "/password", atomically: true, encoding: .utf8)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let authentication = try BasicAuthentication(folder: CredentialFolder(folder.path), logger: logger)
        let access = DebugAccess(authentication: authentication)
        #expect(try await response(access, "127.0.0.1").status == 200)
        #expect(try await response(access, "192.0.2.8", "Basic bm9kZTpyaWdodA==").status == 200)
        for wrong in [nil, "Basic bm9kZTp3cm9uZw==", "Bearer bm9kZTpyaWdodA=="] {
            let refused = try await response(access, "192.0.2.8", wrong)
            #expect(refused.status == 401)
            #expect(refused.fields.contains { $0.name == "WWW-Authenticate" && $0.value.hasPrefix("Basic ") })
        }
    }
}
