import HTTPClient
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import Testing

/// Responses whose bodies the caller reads piece by piece.
@Suite(.timeLimit(.minutes(1)))
struct HTTPBodyTests {
    private static let deadlines = HTTPClient.Deadlines(
        connect: .seconds(20),
        head: .seconds(20),
        progress: .seconds(20)
    )

    private func with(
        _ behaviour: TestServer.Behaviour,
        keeps: Bool = true,
        _ body: (TestServer, HTTPClient) async throws -> Void
    ) async throws {
        let server = try await TestServer.start()
        server.behaviour.withLock { $0 = behaviour }
        let client = HTTPClient(
            url: HTTPURL(isSecure: false, host: "127.0.0.1", port: server.port),
            group: MultiThreadedEventLoopGroup.singleton,
            keepsConnection: keeps
        )
        try await body(server, client)
        await client.close()
        await server.stop()
    }

    private func wait(until condition: () -> Bool) async throws {
        for _ in 0..<1000 where !condition() { try await Task.sleep(for: .milliseconds(10)) }
        #expect(condition())
    }

    @Test func keepsConnectionWhenBodyWasReadToItsEnd() async throws {
        try await with(.bytes(300_000)) { server, client in
            for _ in 0..<3 {
                let count = try await client.withResponse(to: HTTPRequest(path: "/"), deadlines: Self.deadlines) {
                    head,
                    body in
                    #expect(head.status == .ok && head.headers.first(name: "Content-Length") == "300000")
                    var count = 0
                    for try await piece in body { count += piece.readableBytes }
                    return count
                }
                #expect(count == 300_000)
            }
            #expect(server.connections.withLock { $0 } == 1)
        }
    }

    @Test func closesConnectionWhenBodyIsDropped() async throws {
        try await with(.endless) { server, client in
            let status = try await client.withResponse(to: HTTPRequest(path: "/"), deadlines: Self.deadlines) {
                head,
                _ in head.status
            }
            #expect(status == .ok)
            try await wait { server.closedConnections.withLock { $0 } == 1 }
        }
    }

    @Test func closesConnectionWhenCallerThrows() async throws {
        struct Enough: Error {}
        try await with(.endless) { server, client in
            await #expect(throws: Enough.self) {
                try await client.withResponse(to: HTTPRequest(path: "/"), deadlines: Self.deadlines) { _, body in
                    for try await _ in body { throw Enough() }
                }
            }
            try await wait { server.closedConnections.withLock { $0 } == 1 }
        }
    }

    @Test func readsNoFurtherThanTheCaller() async throws {
        try await with(.endless) { server, client in
            try await client.withResponse(to: HTTPRequest(path: "/"), deadlines: Self.deadlines) { _, body in
                var pieces = body.makeAsyncIterator()
                var count = 0
                for _ in 0..<10 { count += try await pieces.next()?.readableBytes ?? 0 }
                try await Task.sleep(for: .milliseconds(500))
                // The rest is in the buffers of two sockets.
                let sent = server.sentBytes.withLock { $0 }
                #expect(sent < 32 << 20)
                while count < 64 << 20 { count += try await pieces.next()?.readableBytes ?? 0 }
                #expect(server.sentBytes.withLock { $0 } > sent)
            }
        }
    }

    @Test func endsBodyThatStalls() async throws {
        try await with(.stall(after: 600)) { server, client in
            var deadlines = Self.deadlines
            deadlines.progress = .milliseconds(200)
            var count = 0
            let peer = "127.0.0.1:\(server.port)"
            await #expect(throws: HTTPClientError.stalled(peer, after: .milliseconds(200))) {
                try await client.withResponse(to: HTTPRequest(path: "/"), deadlines: deadlines) { _, body in
                    for try await piece in body { count += piece.readableBytes }
                }
            }
            #expect(count == 600)
            try await wait { server.closedConnections.withLock { $0 } == 1 }
        }
    }

    @Test func passesOnBytesBeforeConnectionCloses() async throws {
        try await with(.cutShort(after: 600)) { server, client in
            var count = 0
            await #expect(throws: HTTPClientError.closed("127.0.0.1:\(server.port)")) {
                try await client.withResponse(to: HTTPRequest(path: "/"), deadlines: Self.deadlines) { _, body in
                    // The connection closes before the caller reads.
                    try await Task.sleep(for: .milliseconds(200))
                    for try await piece in body { count += piece.readableBytes }
                }
            }
            #expect(count == 600)
        }
    }

    @Test func endsWholeRequestAtItsDeadline() async throws {
        try await with(.endless) { server, client in
            var deadlines = Self.deadlines
            deadlines.whole = .milliseconds(300)
            await #expect(throws: HTTPClientError.timedOut("127.0.0.1:\(server.port)", after: .milliseconds(300))) {
                try await client.withResponse(to: HTTPRequest(path: "/"), deadlines: deadlines) { _, body in
                    for try await _ in body {}
                }
            }
        }
    }

    @Test func endsRequestWithoutHeadAtItsDeadline() async throws {
        try await with(.silent) { server, client in
            var deadlines = Self.deadlines
            deadlines.head = .milliseconds(200)
            await #expect(throws: HTTPClientError.timedOut("127.0.0.1:\(server.port)", after: .milliseconds(200))) {
                try await client.withResponse(to: HTTPRequest(path: "/"), deadlines: deadlines) { _, _ in }
            }
        }
    }

    @Test func cancellationEndsBodyAndClosesConnection() async throws {
        try await with(.stall(after: 600)) { server, client in
            let task = Task {
                try await client.withResponse(to: HTTPRequest(path: "/"), deadlines: Self.deadlines) { _, body in
                    for try await _ in body {}
                }
            }
            try await wait { server.connections.withLock { $0 } == 1 }
            try await Task.sleep(for: .milliseconds(100))
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            try await wait { server.closedConnections.withLock { $0 } == 1 }
        }
    }

    @Test func refusesHeadBeyondLimits() async throws {
        try await with(.manyFields) { server, client in
            await #expect(throws: HTTPClientError.malformed("127.0.0.1:\(server.port)")) {
                _ = try await client.send(HTTPRequest(path: "/"), timeout: .seconds(20))
            }
        }
    }
}
