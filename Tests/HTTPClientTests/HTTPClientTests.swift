import HTTPClient
import NIOPosix
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1)))
struct HTTPClientTests {
    func with(
        limit: Int = 1000,
        keeps: Bool = true,
        _ body: (TestServer, HTTPClient) async throws -> Void
    ) async throws {
        let server = try await TestServer.start()
        let client = HTTPClient(
            url: HTTPURL(isSecure: false, host: "127.0.0.1", port: server.port),
            group: MultiThreadedEventLoopGroup.singleton,
            limit: limit,
            keepsConnection: keeps
        )
        try await body(server, client)
        await client.close()
        await server.stop()
    }

    @Test func requestsShareAConnection() async throws {
        try await with { server, client in
            for number in 0..<5 {
                let request = HTTPRequest(method: "PUT", path: "/\(number)", body: Array("body".utf8))
                let response = try await client.send(request, timeout: .seconds(10))
                #expect(response == HTTPResponse(status: 200, body: Array("PUT /\(number) body".utf8)))
            }
            #expect(server.connections.withLock { $0 } == 1)
        }
    }

    @Test func aConnectionIsNotKeptWhenNotAskedFor() async throws {
        try await with(keeps: false) { server, client in
            for _ in 0..<3 { _ = try await client.send(HTTPRequest(path: "/"), timeout: .seconds(10)) }
            #expect(server.connections.withLock { $0 } == 3)
        }
    }

    @Test func aConnectionThatWasClosedMeanwhileIsMadeAnew() async throws {
        try await with { server, client in
            server.behaviour.withLock { $0 = .closeAfterwards }
            for _ in 0..<3 {
                let response = try await client.send(HTTPRequest(path: "/"), timeout: .seconds(10))
                #expect(response.status == 200)
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    @Test func manyRequestsAtATimeAreAnswered() async throws {
        try await with { _, client in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<20 {
                    group.addTask {
                        try await client.send(HTTPRequest(path: "/\(number)"), timeout: .seconds(20)).status
                    }
                }
                for try await status in group { #expect(status == 200) }
            }
        }
    }

    @Test func silenceEndsInTime() async throws {
        try await with { server, client in
            server.behaviour.withLock { $0 = .silent }
            let error = await #expect(throws: HTTPClientError.self) {
                _ = try await client.send(HTTPRequest(path: "/"), timeout: .milliseconds(200))
            }
            guard case .timedOut = error else {
                Issue.record("\(String(describing: error))")
                return
            }
        }
    }

    @Test func cancellationEndsTheWait() async throws {
        try await with { server, client in
            server.behaviour.withLock { $0 = .silent }
            let task = Task { try await client.send(HTTPRequest(path: "/"), timeout: .seconds(50)) }
            try await Task.sleep(for: .milliseconds(100))
            task.cancel()
            await #expect(throws: CancellationError.self) { _ = try await task.value }
        }
    }

    @Test func longAnswersAreRefused() async throws {
        try await with(limit: 1000) { server, client in
            server.behaviour.withLock { $0 = .bytes(1000) }
            let response = try await client.send(HTTPRequest(path: "/"), timeout: .seconds(10))
            #expect(response.body.count == 1000)
            server.behaviour.withLock { $0 = .bytes(1001) }
            await #expect(throws: HTTPClientError.tooLong("127.0.0.1:\(server.port)", limit: 1000)) {
                _ = try await client.send(HTTPRequest(path: "/"), timeout: .seconds(10))
            }
        }
    }

    @Test func failuresAreTold() async throws {
        try await with { server, client in
            let peer = "127.0.0.1:\(server.port)"
            server.behaviour.withLock { $0 = .close }
            await #expect(throws: HTTPClientError.closed(peer)) {
                _ = try await client.send(HTTPRequest(path: "/"), timeout: .seconds(10))
            }
            server.behaviour.withLock { $0 = .noise }
            await #expect(throws: HTTPClientError.malformed(peer)) {
                _ = try await client.send(HTTPRequest(path: "/"), timeout: .seconds(10))
            }
            await server.stop()
            await #expect(throws: HTTPClientError.unreachable(peer, reason: "connection refused")) {
                _ = try await client.send(HTTPRequest(path: "/"), timeout: .seconds(10))
            }
        }
    }

    @Test func aServerWithoutTLSIsTold() async throws {
        let server = try await TestServer.start()
        let client = HTTPClient(
            url: HTTPURL(isSecure: true, host: "127.0.0.1", port: server.port),
            group: MultiThreadedEventLoopGroup.singleton
        )
        let error = await #expect(throws: HTTPClientError.self) {
            _ = try await client.send(HTTPRequest(path: "/"), timeout: .seconds(10))
        }
        #expect(error?.description.contains("TLS") == true, "\(String(describing: error))")
        await server.stop()
    }

    @Test func unusableCertificatesAreNamed() {
        var settings = TLSSettings()
        settings.authorities = Array("nonsense".utf8)
        #expect(throws: HTTPClientError.unusableCredentials("the certificate authority holds no PEM certificate")) {
            try HTTPClient.check(settings)
        }
        settings = TLSSettings()
        settings.certificateChain = []
        #expect(throws: HTTPClientError.self) { try HTTPClient.check(settings) }
    }
}
