import Glibc
import Logging
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import HTTPServer

/// Streamed responses, and requests with an action.
@Suite(.timeLimit(.minutes(1)))
struct ServerStreamTests {
    final class Log: Sendable {
        let pieces = Atomic(0)
        let ends = Atomic(0)
    }

    /// A server with `/ticks` (a piece each 10 ms), `/flood` (as much as the client takes) and POST on `/act`.
    private func withServer(
        timeout: Duration = .seconds(10),
        _ body: (_ port: Int, HTTPServer, Log) async throws -> Void
    ) async throws {
        let log = Log()
        var configuration = HTTPServer.Configuration(host: "127.0.0.1", port: 0)
        configuration.shutdownGrace = .milliseconds(500)
        configuration.responseTimeout = timeout
        let server = HTTPServer(
            configuration: configuration,
            routes: HTTPServer.Routes(
                reads: [
                    "/ticks": { _ in
                        ServerResponse(
                            contentType: "text/event-stream",
                            fields: [("X-Test", "yes")],
                            body: .stream { stream in
                                defer { log.ends.wrappingAdd(1, ordering: .relaxed) }
                                for number in 0... {
                                    try await stream.send("tick \(number)\n")
                                    try await Task.sleep(for: .milliseconds(10))
                                }
                            }
                        )
                    },
                    "/short": { _ in
                        ServerResponse(contentType: "text/plain", body: .stream { try await $0.send("all") })
                    },
                    "/flood": { _ in
                        ServerResponse(
                            contentType: "text/plain",
                            body: .stream { stream in
                                defer { log.ends.wrappingAdd(1, ordering: .relaxed) }
                                let piece = String(repeating: "x", count: 1 << 16)
                                while true {
                                    try await stream.send(piece)
                                    log.pieces.wrappingAdd(1, ordering: .relaxed)
                                }
                            }
                        )
                    },
                ],
                actions: [
                    "/act": { request in
                        .text("\(request.parameters["a"] ?? "none") \(request.origin.isOwn)")
                    }
                ]
            ),
            group: MultiThreadedEventLoopGroup.singleton,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        let port = try #require(try await server.start()?.port)
        do {
            try await body(port, server, log)
        } catch {
            await server.shutdown()
            throw error
        }
        await server.shutdown()
    }

    private func ends(_ log: Log) async throws -> Bool {
        for _ in 0..<2000 {
            if log.ends.load(ordering: .relaxed) > 0 { return true }
            try await Task.sleep(for: .milliseconds(5))
        }
        return false
    }

    @Test func streamsUntilClientLeaves() async throws {
        try await withServer { port, _, log in
            let client = try PlainConnection(port: port)
            client.send("GET /ticks HTTP/1.1\r\nHost: x\r\n\r\n")
            var text = ""
            for _ in 0..<200 where !text.contains("tick 5") { text += await client.receive(for: .milliseconds(50)) }
            #expect(text.contains("X-Test: yes\r\n") && text.contains("Connection: close\r\n"))
            #expect(text.lowercased().contains("transfer-encoding: chunked\r\n") && text.contains("tick 5"))
            #expect(log.ends.load(ordering: .relaxed) == 0)
            client.close()
            #expect(try await ends(log))
        }
    }

    @Test func endsStreamWhenHandlerReturns() async throws {
        try await withServer { port, _, _ in
            let client = try PlainConnection(port: port)
            let text = try await client.ask("GET /short HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(text.hasSuffix("\r\n\r\n3\r\nall\r\n0\r\n\r\n"))
            #expect(await client.isClosed())
            let head = try PlainConnection(port: port)
            #expect(try await head.ask("HEAD /ticks HTTP/1.1\r\nHost: x\r\n\r\n").hasPrefix("HTTP/1.1 200 OK\r\n"))
        }
    }

    /// The server makes no pieces that the client does not read, and closes the connection at the deadline.
    @Test func closesStreamWhenClientDoesNotRead() async throws {
        try await withServer(timeout: .milliseconds(500)) { port, _, log in
            let client = try PlainConnection(port: port)
            client.send("GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try await ends(log))
            // The buffers of two sockets hold no more.
            #expect(log.pieces.load(ordering: .relaxed) < 1024)
            client.close()
        }
    }

    @Test func shutdownEndsStreams() async throws {
        try await withServer { port, server, log in
            let client = try PlainConnection(port: port)
            client.send("GET /ticks HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(await client.receive(for: .milliseconds(300)).contains("tick"))
            await server.shutdown()
            #expect(try await ends(log))
        }
    }

    @Test func runsActionsForPostOnly() async throws {
        try await withServer { port, _, _ in
            let client = try PlainConnection(port: port)
            let form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\na=b%2Fc"
            let text = try await client.ask("POST /act?a HTTP/1.1\r\nHost: x\r\n" + form)
            // The query comes first.
            #expect(text.hasSuffix("\r\n\r\n true\n"))
            let posted = try await client.ask("POST /act HTTP/1.1\r\nHost: x\r\nOrigin: http://x\r\n" + form)
            #expect(posted.hasSuffix("\r\n\r\nb/c true\n"))
            let foreign = try await client.ask("POST /act HTTP/1.1\r\nHost: x\r\nOrigin: http://y\r\n" + form)
            #expect(foreign.hasSuffix("\r\n\r\nb/c false\n"))
            let get = try await client.ask("GET /act HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(get.hasPrefix("HTTP/1.1 405 ") && get.contains("Allow: POST\r\n"))
            let absent = try await client.ask("POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            #expect(absent.hasPrefix("HTTP/1.1 404 "))
            let long = String(repeating: "a", count: 9000)
            let unread = try await client.ask(
                "POST /act HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                    + "Content-Length: 9002\r\n\r\na=\(long)"
            )
            #expect(unread.hasSuffix("\r\n\r\nnone true\n"))
        }
    }

    @Test(
        arguments: [
            (nil, nil, nil, true), ("a:1", nil, nil, true), ("a:1", "http://a:1", nil, true),
            ("A:1", "https://a:1", "same-origin", true), ("a:1", "http://b:1", nil, false),
            ("a:1", "http://a:2", nil, false), ("a:1", "null", nil, false), (nil, "http://a:1", nil, false),
            ("a:1", "ftp://a:1", nil, false), ("a:1", "http://a:1", "cross-site", false),
            ("a:1", nil, "same-site", false), ("a:1", nil, "same-origin", true), ("a:1", nil, "none", false),
        ] as [(String?, String?, String?, Bool)]
    )
    func acceptsOwnPagesOnly(_ host: String?, _ origin: String?, _ site: String?, _ isOwn: Bool) {
        #expect(RequestOrigin(host: host, origin: origin, fetchSite: site).isOwn == isOwn)
    }
}
