import ContentStore
import CoreMetrics
import Glibc
import Logging
import Mirroring
import NIOCore
import NIOPosix
import OCI
import Routing
import RoutingTestSupport
import Splicing
import TestSupport
import Testing

@testable import Registry

extension LoopbackTests {
    /// What goes to a client by way of its channel and what goes past it.
    @Suite(.serialized, .timeLimit(.minutes(1))) struct FlushOrderTests {
        /// The kernel waits for what was read before, and meanwhile another peer takes over.
        @Test(arguments: [VerificationMode.auto, .always])
        func bytesKeepOrderWhenPeerFailsDuringFlush(
            verification: VerificationMode
        ) async throws {
            let (bytes, digest) = try makeContent(1_000_000)
            let (bad, provider) = try await ScriptedPeer.start { _ in
                [
                    .send("HTTP/1.1 200 OK\r\nContent-Length: \(bytes.count)\r\n\r\n"),
                    .bytes(Array(bytes.prefix(400_000))), .pause(50), .reset,
                ]
            }
            let holder = try await TestNode(host: "127.0.0.2", checksFiles: true)
            holder.store.add(bytes, as: digest)
            let router = MemoryRouter()
            router.setProviders([provider, holder.provider], of: digest.text)
            var configuration = RegistryConfiguration(host: "127.0.0.1", port: 0)
            configuration.peers.choosesProviders = false
            configuration.checks.checkedSize = 0
            configuration.checks.verification = verification
            let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
            let services = RegistryServices(
                configuration: configuration,
                store: holder.store,
                index: ContentIndex(),
                router: router,
                readiness: { .ready("ready") },
                stalls: { [] },
                telemetry: Telemetry(
                    factory: NOOPMetricsHandler.instance,
                    labels: RegistryLabels(configured: nil),
                    logger: quiet
                )
            )
            var ends: [Int32] = [-1, -1]
            try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
            let (output, input) = (ends[0], ends[1])
            let received = Task {
                try await blocking {
                    var all: [UInt8] = []
                    var buffer = [UInt8](repeating: 0, count: 1 << 16)
                    while true {
                        let count = read(input, &buffer, buffer.count)
                        guard count > 0 else { break }
                        all += buffer.prefix(count)
                    }
                    close(input)
                    return all
                }
            }
            let content = DistributionRequest(
                kind: .blob,
                repository: try #require(RepositoryName("a")),
                target: .digest(digest),
                registry: nil
            )
            let eventLoop = MultiThreadedEventLoopGroup.singleton.any()
            let ending = try await eventLoop.flatSubmit { () -> EventLoopFuture<TransferEnding> in
                let client = SlowClient(output: output, eventLoop: eventLoop)
                let session = MirrorSession(
                    ContentRequest(
                        content: content,
                        key: digest.text,
                        isHead: false,
                        isFromPeer: false
                    ),
                    client: client,
                    services: services,
                    loop: RegistryLoop(eventLoop: eventLoop, services.configuration, services.telemetry),
                    eventLoop: eventLoop
                )
                client.session = session
                session.start()
                // Until then nothing leaves. The other peer has sent its first bytes long before.
                eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(400)) { client.takeAll() }
                return client.ended.futureResult
            }.get()
            #expect(ending == .complete && bad.requests.count == 1)
            #expect(services.splicer.begun == 1)
            let all = try await received.value
            #expect((all == bytes) == true, "\(all.count) bytes")
            services.splicer.close()
            await holder.server.shutdown()
            try await bad.stop()
        }
    }
}

/// A client whose channel holds back what is written, until it takes everything that is flushed.
private final class SlowClient: MirrorClient {
    let ended: EventLoopPromise<TransferEnding>
    var session: MirrorSession?
    private let output: Int32
    private var written: [UInt8] = []
    /// How many of those bytes may leave.
    private var flushed = 0
    private var waiting: [() -> Void] = []
    private var takesAll = false

    init(output: Int32, eventLoop: any EventLoop) {
        self.output = output
        ended = eventLoop.makePromise()
    }

    let takesBytes = true
    let address: String? = nil
    var socket: SocketDescriptor? { SocketDescriptor(takingOver: dup(output)) }

    func takeAll() {
        takesAll = true
        drain()
    }

    func mirrorSends(head: PromisedContent, source: PeerAddress?) {}
    func mirrorSends(body: ByteBuffer) { written += Array(body.readableBytesView) }

    func mirrorSends(body: ByteBuffer, whenSent: @escaping @Sendable () -> Void) {
        mirrorSends(body: body)
        whenSent()
    }

    func mirrorFlushes() {
        flushed = written.count
        drain()
    }

    func mirrorFlushes(whenDone: @escaping () -> Void) {
        waiting.append(whenDone)
        mirrorFlushes()
    }

    func mirrorSent(bytes: Int64) {}
    func mirrorLostClient() { ended.fail(ChannelError.eof) }

    func mirrorEnds(_ ending: TransferEnding) {
        mirrorFlushes()
        close(output)
        session = nil
        ended.succeed(ending)
    }

    private func drain() {
        guard takesAll else { return }
        while flushed > 0 {
            let count = written.withUnsafeBytes { write(output, $0.baseAddress, flushed) }
            guard count > 0 else { return }
            written.removeFirst(count)
            flushed -= count
        }
        let done = waiting
        waiting = []
        for each in done { each() }
    }
}
