import HTTPClient
import NIOCore
import NIOPosix
import Synchronization
import Testing

/// Requests to `https` servers.
@Suite(.timeLimit(.minutes(1)))
struct HTTPClientTLSTests {
    private func client(_ server: TestServer, authority: TestCertificate) -> HTTPClient {
        HTTPClient(
            url: HTTPURL(isSecure: true, host: "127.0.0.1", port: server.port),
            group: MultiThreadedEventLoopGroup.singleton,
            tls: {
                var settings = TLSSettings()
                settings.authorities = authority.pem
                return settings
            }
        )
    }

    @Test func sendsRequestsToTrustedServer() async throws {
        let certificate = try TestCertificate()
        let server = try await TestServer.start(tls: certificate)
        let client = client(server, authority: certificate)
        for _ in 0..<3 {
            let response = try await client.send(HTTPRequest(path: "/a"), timeout: .seconds(20))
            #expect(response == HTTPResponse(status: 200, body: Array("GET /a ".utf8)))
        }
        server.behaviour.withLock { $0 = .bytes(1 << 20) }
        let response = try await client.send(HTTPRequest(path: "/"), timeout: .seconds(20))
        #expect(response.body.count == 1 << 20)
        #expect(server.connections.withLock { $0 } == 1)
        await client.close()
        await server.stop()
    }

    @Test func refusesServerOfAnotherAuthority() async throws {
        let server = try await TestServer.start(tls: try TestCertificate())
        let client = client(server, authority: try TestCertificate())
        let error = await #expect(throws: HTTPClientError.self) {
            _ = try await client.send(HTTPRequest(path: "/"), timeout: .seconds(20))
        }
        guard case .insecure(_, let reason) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(reason.contains("not signed by the expected authority"))
        await server.stop()
    }

    @Test func endsHandshakeAtItsDeadline() async throws {
        // Accepts connections and says nothing.
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = UInt16(server.localAddress?.port ?? 0)
        let client = HTTPClient(
            url: HTTPURL(isSecure: true, host: "127.0.0.1", port: port),
            group: MultiThreadedEventLoopGroup.singleton
        )
        var deadlines = HTTPClient.Deadlines(whole: .seconds(20))
        deadlines.connect = .milliseconds(200)
        await #expect(throws: HTTPClientError.timedOut("127.0.0.1:\(port)", after: .milliseconds(200))) {
            try await client.withResponse(to: HTTPRequest(path: "/"), deadlines: deadlines) { _, _ in }
        }
        try await server.close()
    }
}
