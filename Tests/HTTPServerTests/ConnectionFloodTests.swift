import Glibc
import Logging
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import HTTPServer

/// More connections than the server has places for.
@Suite(.timeLimit(.minutes(1)))
struct ConnectionFloodTests {
    private static let health = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    private static let text = "GET /text HTTP/1.1\r\nHost: x\r\n\r\n"
    private static let slow = "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
    private static let slowHealth = "GET /slow-health HTTP/1.1\r\nHost: x\r\n\r\n"
    private static let large = "GET /large HTTP/1.1\r\nHost: x\r\n\r\n"
    /// More than the buffers of two sockets hold.
    private static let largeSize = 16 << 20
    /// Far less than any deadline of the server, at which it would close silent connections anyway.
    private static let promptly = Duration.seconds(5)

    private func withServer(
        connections: Int = 64,
        reserved: Int = 8,
        leavingTimeout: Duration = .milliseconds(200),
        _ body: (_ port: Int, _ counts: Counts) async throws -> Void
    ) async throws {
        var configuration = HTTPServer.Configuration(host: "127.0.0.1", port: 0)
        configuration.maximumConnections = connections
        configuration.reservedConnections = reserved
        configuration.leavingTimeout = leavingTimeout
        configuration.requestTimeout = .seconds(60)
        configuration.responseTimeout = .seconds(60)
        configuration.shutdownGrace = .milliseconds(500)
        let counts = Counts()
        let slow: HTTPServer.Handler = { _ in
            counts.slow.add(1)
            try? await Task.sleep(for: .seconds(60))
            counts.slow.add(-1)
            return .text("late")
        }
        let server = HTTPServer(
            configuration: configuration,
            routes: HTTPServer.Routes(
                reads: [
                    "/livez": { _ in .text("alive") },
                    "/text": { _ in .text("here") },
                    "/slow": slow,
                    "/slow-health": slow,
                    "/large": { _ in
                        counts.large.add(1)
                        return .text(String(repeating: "x", count: Self.largeSize))
                    },
                ],
                health: ["/livez", "/slow-health"]
            ),
            group: MultiThreadedEventLoopGroup.singleton,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        let port = try #require(try await server.start()?.port)
        do {
            try await body(port, counts)
        } catch {
            await server.shutdown()
            throw error
        }
        await server.shutdown()
    }

    private struct Counts: Sendable {
        /// The slow requests in progress.
        let slow = Counter()
        /// The large responses made.
        let large = Counter()
    }

    private final class Counter: Sendable {
        private let count = Atomic(0)
        var value: Int { count.load(ordering: .relaxed) }
        func add(_ change: Int) { count.wrappingAdd(change, ordering: .relaxed) }
    }

    private func isHealthy(_ port: Int) async throws -> Bool {
        let probe = try PlainConnection(port: port)
        probe.send(Self.health)
        return await probe.receive(for: Self.promptly).hasSuffix("alive\n")
    }

    /// Reads until the condition holds for the number of bytes and the last ones, or for a generous time.
    private func read(
        from connection: PlainConnection,
        until isEnough: (Int, String) -> Bool
    ) async -> (size: Int, end: String) {
        var (size, end) = (0, "")
        for _ in 0..<40 where !isEnough(size, end) {
            end = await connection.receive(for: .milliseconds(500))
            size += end.utf8.count
        }
        return (size, end)
    }

    private func wait(until condition: () -> Bool) async throws {
        for _ in 0..<1000 where !condition() { try await Task.sleep(for: .milliseconds(10)) }
        #expect(condition())
    }

    @Test func healthAnswersBesideSilentConnections() async throws {
        try await withServer { port, _ in
            var silent: [PlainConnection] = []
            for number in 0..<200 {
                let connection = try PlainConnection(port: port)
                // Some send a part of a head, or the head of a form without its body.
                if number % 3 == 1 { connection.send("GET /li") }
                if number % 3 == 2 { connection.send("POST /text HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n") }
                silent.append(connection)
            }
            for _ in 0..<3 { #expect(try await isHealthy(port)) }
            for connection in silent { connection.close() }
        }
    }

    @Test func healthAnswersBesideIdleConnections() async throws {
        try await withServer { port, _ in
            var idle: [PlainConnection] = []
            for _ in 0..<64 {
                let connection = try PlainConnection(port: port)
                #expect(try await connection.ask(Self.text).hasSuffix("here\n"))
                idle.append(connection)
            }
            #expect(try await isHealthy(port))
            // The oldest gave way, the newest did not.
            #expect(await idle[0].isClosed())
            #expect(try await idle[63].ask(Self.text).hasSuffix("here\n"))
        }
    }

    @Test func healthAnswersWhileAllOtherPlacesAreBusy() async throws {
        try await withServer(connections: 4, reserved: 2) { port, counts in
            let busy = try (0..<2).map { _ in try PlainConnection(port: port) }
            for connection in busy { connection.send(Self.slow) }
            try await wait { counts.slow.value == 2 }
            let late = try PlainConnection(port: port)
            let response = try await late.ask(Self.text)
            #expect(response.hasPrefix("HTTP/1.1 503 ") && response.contains("Retry-After: 1\r\n"))
            for _ in 0..<5 { #expect(try await isHealthy(port)) }
            // The server kept the busy connections.
            #expect(counts.slow.value == 2)
            for connection in busy { connection.close() }
            try await wait { counts.slow.value == 0 }
            for _ in 0..<5 {
                let next = try PlainConnection(port: port)
                #expect(try await next.ask(Self.text).hasSuffix("here\n"))
            }
        }
    }

    @Test func healthAnswersBesideClientsThatDoNotRead() async throws {
        try await withServer(connections: 8, reserved: 2) { port, counts in
            let deaf = try (0..<12).map { _ in try PlainConnection(port: port) }
            for connection in deaf { connection.send(Self.large) }
            try await wait { counts.large.value > 0 }
            for _ in 0..<2 { #expect(try await isHealthy(port)) }
            for connection in deaf { connection.close() }
        }
    }

    @Test func closesConnectionThatWasIdleLongest() async throws {
        try await withServer(connections: 3, reserved: 1) { port, _ in
            let first = try PlainConnection(port: port)
            #expect(try await first.ask(Self.text).hasSuffix("here\n"))
            let second = try PlainConnection(port: port)
            #expect(try await second.ask(Self.text).hasSuffix("here\n"))
            #expect(try await first.ask(Self.text).hasSuffix("here\n"))
            let third = try PlainConnection(port: port)
            #expect(try await third.ask(Self.text).hasSuffix("here\n"))
            #expect(await second.isClosed())
            #expect(try await first.ask(Self.text).hasSuffix("here\n"))
            #expect(try await third.ask(Self.text).hasSuffix("here\n"))
        }
    }

    @Test func connectionsWaitAtLimitWhileAllAreBusy() async throws {
        // Health checks have no limit but that of the connections.
        try await withServer(connections: 2, reserved: 1) { port, counts in
            let busy = try (0..<2).map { _ in try PlainConnection(port: port) }
            for connection in busy { connection.send(Self.slowHealth) }
            try await wait { counts.slow.value == 2 }
            let waiting = try PlainConnection(port: port)
            waiting.send(Self.text)
            #expect(await waiting.receive(for: .milliseconds(300)).isEmpty)
            busy[0].close()
            #expect(await waiting.receive(for: .seconds(20)).hasSuffix("here\n"))
            #expect(counts.slow.value == 1)
        }
    }

    @Test func responseIsCompleteWhenConnectionGivesWay() async throws {
        try await withServer(connections: 2, reserved: 1, leavingTimeout: .seconds(20)) { port, counts in
            let first = try PlainConnection(port: port)
            first.send(Self.large)
            try await wait { counts.large.value == 1 }
            // The client has not read the response when the next connection needs room.
            let second = try PlainConnection(port: port)
            #expect(try await second.ask(Self.health).hasSuffix("alive\n"))
            #expect(await read(from: first) { size, _ in size > Self.largeSize }.size > Self.largeSize)
            // Whichever has no request first gives way.
            let isFirstClosed = await first.isClosed()
            let isSecondClosed = await second.isClosed()
            #expect(isFirstClosed || isSecondClosed)
        }
    }

    @Test func requestWaitsUntilResponseBeforeItIsRead() async throws {
        try await withServer { port, counts in
            let client = try PlainConnection(port: port)
            client.send(Self.large + Self.large + Self.text)
            try await Task.sleep(for: .milliseconds(500))
            #expect(counts.large.value == 1)
            let (size, end) = await read(from: client) { _, end in end.hasSuffix("here\n") }
            #expect(counts.large.value == 2)
            #expect(size > 2 * Self.largeSize && end.hasSuffix("here\n"))
        }
    }
}
