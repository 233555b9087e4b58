import Glibc
import Logging
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import HTTPServer

@Suite(.timeLimit(.minutes(1)))
struct HTTPServerTests {
    /// Runs a test with a server on loopback that answers `/text`, `/slow` (until cancelled) and `/echo?key=`.
    private func withServer(
        configure: (inout HTTPServer.Configuration) -> Void = { _ in },
        cancelled: @escaping @Sendable () -> Void = {},
        _ body: (_ port: Int, HTTPServer) async throws -> Void
    ) async throws {
        var configuration = HTTPServer.Configuration(host: "127.0.0.1", port: 0)
        configuration.shutdownGrace = .milliseconds(200)
        configure(&configuration)
        let server = HTTPServer(
            configuration: configuration,
            routes: HTTPServer.Routes(reads: [
                "/text": { _ in .text("here") },
                "/echo": { request in .text(request.parameters["key"] ?? "none") },
                "/slow": { _ in
                    try? await Task.sleep(for: .seconds(60))
                    cancelled()
                    return .text("late")
                },
            ]),
            group: MultiThreadedEventLoopGroup.singleton,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        let port = try #require(try await server.start()?.port)
        do {
            try await body(port, server)
        } catch {
            await server.shutdown()
            throw error
        }
        await server.shutdown()
    }

    @Test func answersAllRoutesOnOneConnection() async throws {
        try await withServer { port, _ in
            let connection = try PlainConnection(port: port)
            let text = try await connection.ask("GET /text HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n") && text.hasSuffix("\r\n\r\nhere\n"))
            let head = try await connection.ask("HEAD /text HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(head.contains("Content-Length: 5\r\n") && head.hasSuffix("\r\n\r\n"))
            let echo = try await connection.ask("GET /echo?a=b&key=docker.io%2Fx%3A1+y HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(echo.hasSuffix("\r\n\r\ndocker.io/x:1 y\n"))
            let missing = try await connection.ask("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(missing.hasPrefix("HTTP/1.1 404 "))
            let post = try await connection.ask("POST /text HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
            #expect(post.hasPrefix("HTTP/1.1 405 ") && post.contains("Allow: GET, HEAD\r\n"))
            let long = try await connection.ask(
                "GET /\(String(repeating: "x", count: 5000)) HTTP/1.1\r\nHost: x\r\n\r\n"
            )
            #expect(long.hasPrefix("HTTP/1.1 414 "))
        }
    }

    @Test(arguments: [
        ("GET /text HTTP/1.1\r\n\r\n", "400"), ("GET /text HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400"),
        ("GET /text HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "400"), ("GET /text HTTP/1.0\r\n\r\n", "200"),
        ("GET http://a/text HTTP/1.1\r\nHost: a\r\n\r\n", "200"),
        ("GET HTTP://a:1/text?x HTTP/1.1\r\nHost: b\r\n\r\n", "200"),
        ("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", "404"), ("GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n", "404"),
        ("GET ftp://a/text HTTP/1.1\r\nHost: a\r\n\r\n", "404"),
    ])
    func followsTheRulesForHostAndTarget(_ request: String, _ status: String) async throws {
        try await withServer { port, _ in
            let answer = try await PlainConnection(port: port).ask(request)
            #expect(answer.hasPrefix("HTTP/1.1 \(status) ") || answer.hasPrefix("HTTP/1.0 \(status) "), "\(answer)")
        }
    }

    @Test func targetInAbsoluteFormSaysTheHost() {
        let origin = RequestOrigin(host: "b", origin: "http://a")
        #expect(ServerRequest(target: "http://a/x", origin: origin).origin.isOwn)
        #expect(!ServerRequest(target: "/x", origin: origin).origin.isOwn)
    }

    @Test func answersToAnExpectationBeforeTheBody() async throws {
        try await withServer { port, _ in
            let connection = try PlainConnection(port: port)
            let head = "POST /text HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n"
            #expect(try await connection.ask(head) == "HTTP/1.1 100 Continue\r\n\r\n")
            #expect(try await connection.ask("abc").hasPrefix("HTTP/1.1 405 "))
            #expect(try await connection.ask("GET /text HTTP/1.1\r\nHost: x\r\n\r\n").hasSuffix("here\n"))
            let other = try await connection.ask("GET /text HTTP/1.1\r\nHost: x\r\nExpect: more\r\n\r\n")
            #expect(other.hasPrefix("HTTP/1.1 417 "))
            #expect(await connection.isClosed())
            // HTTP/1.0 has no expectations.
            let old = try await PlainConnection(port: port).ask("GET /text HTTP/1.0\r\nExpect: 100-continue\r\n\r\n")
            #expect(old.contains(" 200 OK\r\n"))
        }
    }

    @Test(arguments: [1, 2, 20])
    func answersClientThatHasClosedItsSide(requests: Int) async throws {
        try await withServer { port, _ in
            let connection = try PlainConnection(port: port)
            connection.send(String(repeating: "GET /text HTTP/1.1\r\nHost: x\r\n\r\n", count: requests))
            connection.closeOutput()
            let answers = await connection.receive(for: .seconds(20))
            #expect(answers.components("here\n") == requests)
            #expect(await connection.isClosed())
        }
    }

    @Test func closesAtOnceOrSoonWhenClientHasLeft() async throws {
        let cancellations = Atomic(0)
        try await withServer(
            configure: { $0.halfClosedTimeout = .milliseconds(200) },
            cancelled: { cancellations.wrappingAdd(1, ordering: .relaxed) }
        ) { port, _ in
            for text in ["", "GET /te", "GET /text HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\na"] {
                let connection = try PlainConnection(port: port)
                connection.send(text)
                connection.closeOutput()
                #expect(await connection.isClosed())
            }
            let slow = try PlainConnection(port: port)
            slow.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            slow.closeOutput()
            #expect(await slow.isClosed())
            for _ in 0..<500 where cancellations.load(ordering: .relaxed) < 1 {
                try await Task.sleep(for: .milliseconds(10))
            }
            #expect(cancellations.load(ordering: .relaxed) == 1)
        }
    }

    @Test func refusesMalformedRequests() async throws {
        try await withServer { port, _ in
            let connection = try PlainConnection(port: port)
            let answer = try await connection.ask("GARBAGE\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 400 "))
            #expect(await connection.isClosed())
        }
    }

    @Test func closesSilentSlowAndIdleConnections() async throws {
        try await withServer(configure: { configuration in
            configuration.requestTimeout = .milliseconds(200)
            configuration.idleTimeout = .milliseconds(200)
        }) { port, _ in
            let silent = try PlainConnection(port: port)
            #expect(await silent.isClosed())
            let slow = try PlainConnection(port: port)
            slow.send("GET /te")
            #expect(await slow.isClosed())
            let idle = try PlainConnection(port: port)
            #expect(try await idle.ask("GET /text HTTP/1.1\r\nHost: x\r\n\r\n").hasSuffix("here\n"))
            #expect(await idle.isClosed())
        }
    }

    @Test func cancelsHandlerAtDeadlineAndWhenClientLeaves() async throws {
        let cancellations = Atomic(0)
        try await withServer(
            configure: { $0.responseTimeout = .milliseconds(200) },
            cancelled: { cancellations.wrappingAdd(1, ordering: .relaxed) }
        ) { port, _ in
            let late = try PlainConnection(port: port)
            late.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(await late.isClosed())
            let gone = try PlainConnection(port: port)
            gone.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            gone.close()
            for _ in 0..<500 where cancellations.load(ordering: .relaxed) < 2 {
                try await Task.sleep(for: .milliseconds(10))
            }
            #expect(cancellations.load(ordering: .relaxed) == 2)
        }
    }

    @Test func shutdownClosesAllConnections() async throws {
        try await withServer { port, server in
            let idle = try PlainConnection(port: port)
            _ = try await idle.ask("GET /text HTTP/1.1\r\nHost: x\r\n\r\n")
            let busy = try PlainConnection(port: port)
            busy.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            try await Task.sleep(for: .milliseconds(50))
            await server.shutdown()
            #expect(await idle.isClosed())
            #expect(await busy.isClosed())
            #expect(throws: (any Error).self) { try PlainConnection(port: port) }
        }
    }

    @Test func errorNamesAddressInUse() async throws {
        try await withServer { port, _ in
            var configuration = HTTPServer.Configuration(host: "127.0.0.1", port: port)
            configuration.setting = "--metrics-addr"
            let second = HTTPServer(
                configuration: configuration,
                routes: HTTPServer.Routes(reads: [:]),
                group: MultiThreadedEventLoopGroup.singleton,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            )
            let error = await #expect(throws: HTTPServer.CannotListen.self) { try await second.start() }
            #expect("\(error.map { "\($0)" } ?? "")".contains("127.0.0.1:\(port)"))
            #expect("\(error.map { "\($0)" } ?? "")".contains("--metrics-addr"))
        }
    }

    @Test(
        arguments: [
            ("/a?key=1&key=2", "/a", ["key": "1"]), ("/a%2?b", "/a%2", ["b": ""]),
            ("/a?=x&&b=%zz#c?d=e", "/a", ["b": "%zz"]),
            ("", "", [:]), ("?", "", [:]), ("/%C3%A9+", "/é+", [:]),
        ] as [(String, String, [String: String])]
    )
    func readsTargets(_ target: String, _ path: String, _ parameters: [String: String]) {
        let request = ServerRequest(target: target)
        #expect(request.path == path)
        #expect(request.parameters == parameters)
    }
}

extension String {
    /// The number of times that a text occurs.
    fileprivate func components(_ text: String) -> Int {
        var count = 0
        var rest = self[...]
        while let range = rest.firstRange(of: text) {
            count += 1
            rest = rest[range.upperBound...]
        }
        return count
    }
}
