import CoreMetrics
import Logging
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import Registry

/// The life of an answer on a connection, without a socket.
struct ExchangeTests {
    /// An answer that does as the test says, and notes what it is told.
    private final class ScriptedAnswer: Answer {
        var calls: [String] = []
        let outlivesClient: Bool

        init(outlivesClient: Bool = false) {
            self.outlivesClient = outlivesClient
        }

        func start() { calls.append("start") }
        func clientTakesBytes(_ takes: Bool) { calls.append(takes ? "takes" : "takes not") }

        func clientClosed() -> Bool {
            calls.append("closed")
            return outlivesClient
        }

        func stop() { calls.append("stop") }
    }

    private final class ScriptedResponder: Responder {
        var exchanges: [Exchange] = []
        var begin: (Exchange) -> Void = { _ in }

        func connected(_ channel: any Channel) {}

        func respond(to head: HTTPRequestHead, _ fields: RequestFields, in exchange: Exchange) {
            exchanges.append(exchange)
            begin(exchange)
        }
    }

    /// A connection in a channel without a socket.
    private struct Client {
        let responder = ScriptedResponder()
        let rules = ConnectionRules(RegistryConfiguration(host: "", port: 0))
        let telemetry = Telemetry(
            factory: NOOPMetricsHandler.instance,
            labels: RegistryLabels(configured: nil),
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        )
        let channel = EmbeddedChannel()

        init() throws {
            let connection = ClientConnection(
                responder: responder,
                rules: rules,
                telemetry: LoopTelemetry(telemetry),
                eventLoop: channel.eventLoop
            )
            try channel.pipeline.syncOperations.addHandler(connection)
            try channel.connect(to: SocketAddress(unixDomainSocketPath: "client")).wait()
        }

        var metrics: MetricsSnapshot { telemetry.metrics.snapshot }

        func ask(_ target: String = "/v2/", _ method: HTTPMethod = .GET) throws {
            let head = HTTPRequestHead(version: .http1_1, method: method, uri: target, headers: ["Host": "x"])
            try channel.writeInbound(HTTPServerRequestPart.head(head))
            try channel.writeInbound(HTTPServerRequestPart.end(nil))
        }

        /// What was sent since the last call: statuses, and the bytes of bodies.
        func received() throws -> [String] {
            var parts: [String] = []
            while let part = try channel.readOutbound(as: HTTPServerResponsePart.self) {
                switch part {
                case .head(let head): parts.append("\(head.status.code)")
                case .body(.byteBuffer(let bytes)): parts.append(String(buffer: bytes))
                case .body(.fileRegion): parts.append("file")
                case .end: parts.append("end")
                }
            }
            return parts
        }
    }

    private static let ok = HTTPResponseHead(version: .http1_1, status: .ok, headers: ["Content-Length": "2"])

    @Test func answersRequestsInTurn() throws {
        let client = try Client()
        try client.ask()
        try client.ask("/v2/", .HEAD)
        #expect(client.responder.exchanges.count == 1 && client.metrics.requestsInFlight == 1)
        client.responder.exchanges[0].send(Self.ok, ByteBuffer(string: "ab"), .local)
        #expect(try client.received() == ["200", "ab", "end"])
        #expect(client.responder.exchanges.count == 2 && client.metrics.outcomes[.local] == 1)
        client.responder.exchanges[1].send(Self.ok, ByteBuffer(string: "ab"), .mirrored)
        #expect(try client.received() == ["200", "end"])
        #expect(client.metrics.requestsInFlight == 0 && client.metrics.outcomes[.mirrored] == 1)
        #expect(client.channel.isActive)
    }

    /// Whatever an answer still does after the end reaches neither this client nor the next request on the connection.
    @Test func lateWritesGoNowhere() throws {
        let client = try Client()
        try client.ask()
        let exchange = client.responder.exchanges[0]
        let answer = ScriptedAnswer()
        exchange.handOver(to: answer)
        exchange.send(Self.ok)
        exchange.send(.byteBuffer(ByteBuffer(string: "ab")))
        exchange.finish(.local)
        #expect(answer.calls == ["start", "stop"])
        try client.ask()
        #expect(client.responder.exchanges.count == 2)
        _ = try client.received()

        let promise = client.channel.eventLoop.makePromise(of: Void.self)
        exchange.send(Self.ok)
        exchange.send(.byteBuffer(ByteBuffer(string: "late")), promise: promise)
        exchange.finish(.cutShort)
        exchange.cutShortNow()
        exchange.close()
        let another = ScriptedAnswer()
        exchange.handOver(to: another)
        #expect(throws: ChannelError.alreadyClosed) { try promise.futureResult.wait() }
        #expect(try client.received().isEmpty && another.calls.isEmpty)
        #expect(client.channel.isActive && client.metrics.requestsInFlight == 1)
        #expect(client.metrics.outcomes[.local] == 1 && client.metrics.outcomes[.cutShort] == 0)
    }

    @Test func stopsAnswerThatHandsOver() throws {
        let client = try Client()
        try client.ask()
        let exchange = client.responder.exchanges[0]
        let (first, second) = (ScriptedAnswer(), ScriptedAnswer())
        exchange.handOver(to: first)
        exchange.clientTakesBytes(false)
        exchange.handOver(to: second)
        exchange.clientTakesBytes(true)
        #expect(first.calls == ["start", "takes not", "stop"] && second.calls == ["start", "takes"])
        exchange.send(Self.ok, ByteBuffer(string: "ab"), .mirrored)
        #expect(first.calls.count == 3 && second.calls == ["start", "takes", "stop"])
    }

    @Test func answerStopsWhenClientLeaves() throws {
        let client = try Client()
        try client.ask()
        let answer = ScriptedAnswer()
        client.responder.exchanges[0].handOver(to: answer)
        client.channel.pipeline.fireChannelInactive()
        #expect(answer.calls == ["start", "closed", "stop"])
        #expect(client.metrics.requestsInFlight == 0)
    }

    /// Where the kernel sends, only the answer knows how much has reached a client that has left.
    @Test func answerOutlivesItsClient() throws {
        let client = try Client()
        try client.ask()
        let exchange = client.responder.exchanges[0]
        let answer = ScriptedAnswer(outlivesClient: true)
        exchange.handOver(to: answer)
        exchange.send(Self.ok)
        client.channel.pipeline.fireChannelInactive()
        #expect(answer.calls == ["start", "closed"] && exchange.isOrphaned)
        #expect(client.metrics.requestsInFlight == 1)
        exchange.finish(.cutShort)
        exchange.end(.mirrored)
        #expect(answer.calls == ["start", "closed", "stop"] && !exchange.isOrphaned)
        exchange.end(.aborted)
        let outcomes = client.metrics.outcomes
        #expect(outcomes[.mirrored] == 1 && outcomes[.aborted] == 0 && outcomes[.cutShort] == 0)
        #expect(client.metrics.requestsInFlight == 0)
    }

    @Test func closesDrainingConnectionAfterItsAnswer() throws {
        let client = try Client()
        try client.ask()
        client.rules.drain()
        client.responder.exchanges[0].send(Self.ok, ByteBuffer(string: "ab"), .local)
        guard case .head(let head)? = try client.channel.readOutbound(as: HTTPServerResponsePart.self) else {
            throw RawClient.Failure(what: "no head")
        }
        #expect(head.headers["Connection"] == ["close"])
        try client.ask()
        #expect(client.responder.exchanges.count == 1)
    }

    /// The connection reads on while it answers, so that no request costs a change of what is waited for.
    @Test func answersPipelinedRequestsInOrder() throws {
        let client = try Client()
        client.responder.begin = { exchange in
            // Every third one is answered later.
            guard client.responder.exchanges.count % 3 != 0 else { return }
            exchange.send(Self.ok, ByteBuffer(string: "ab"), .local)
        }
        for _ in 0..<30 { try client.ask() }
        var answered = 0
        while client.metrics.requestsInFlight == 1 {
            answered += 1
            client.responder.exchanges.last?.send(Self.ok, ByteBuffer(string: "cd"), .local)
        }
        #expect(answered == 10 && client.responder.exchanges.count == 30)
        let parts = try client.received()
        #expect(parts == (1...30).flatMap { ["200", $0 % 3 == 0 ? "cd" : "ab", "end"] })
    }
}
