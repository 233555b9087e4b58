import ContentStore
import CoreMetrics
import Glibc
import Logging
import NIOCore
import NIOPosix
import OCI
import Routing
import RoutingTestSupport
import Synchronization
import TestSupport

@testable import Registry

/// A store of files in a temporary folder; or one that can only be read, as where the files are out of reach.
final class TestStore: ContentStore {
    private let folder: String
    private let readersOnly: Bool
    /// After how many bytes a reader fails.
    let readersFailAfter = Mutex<Int?>(nil)
    private let names = Mutex<[String]>([])

    init(readersOnly: Bool = false) {
        var template = Array("/tmp/registry-tests-XXXXXX".utf8CString)
        folder = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp"
        self.readersOnly = readersOnly
    }

    deinit {
        for name in names.withLock({ $0 }) { unlink(name) }
        rmdir(folder)
    }

    func path(_ digest: Digest) -> String { "\(folder)/\(digest.hex)" }

    func add(_ bytes: [UInt8], as digest: Digest) {
        let descriptor = open(path(digest), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0o600)
        _ = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        close(descriptor)
        names.withLock { $0.append(path(digest)) }
    }

    func openFile(_ digest: Digest) throws -> ContentFile? {
        readersOnly ? nil : try ContentFile.open(path: path(digest))
    }

    func openReader(_ digest: Digest) async throws -> (any ContentReader)? {
        guard readersOnly, let file = try ContentFile.open(path: path(digest)) else { return nil }
        return Reader(
            bytes: try file.readAll(limit: 1 << 26),
            stamp: file.stamp,
            failsAfter: readersFailAfter.withLock { $0 }
        )
    }

    func images() async throws -> [StoredImage] { [] }
    func resolve(_ name: String) async throws -> Descriptor? { nil }
    func contents() async throws -> [StoredContent] { [] }
    func size(of digest: Digest) async throws -> Int64? { nil }
    func changes() -> AsyncThrowingStream<StoreChange, any Error> { AsyncThrowingStream { $0.finish() } }

    private struct Reader: ContentReader {
        var bytes: [UInt8]
        var stamp: ContentStamp?
        var failsAfter: Int?
        var size: Int64 { Int64(bytes.count) }

        func read(_ range: Range<Int64>) -> AsyncThrowingStream<[UInt8], any Error> {
            let part = bytes[Int(range.lowerBound)..<Int(range.upperBound)]
            return AsyncThrowingStream { continuation in
                for start in stride(from: part.startIndex, to: part.endIndex, by: 100_000) {
                    if let failsAfter, start >= failsAfter {
                        return continuation.finish(throwing: RawClient.Failure(what: "the reader fails"))
                    }
                    continuation.yield(Array(part[start...].prefix(100_000)))
                }
                continuation.finish()
            }
        }
    }
}

/// A registry on loopback with a store, an index and a router of its own.
struct TestNode {
    let server: RegistryServer
    let address: SocketAddress
    let store: TestStore
    let index: ContentIndex
    let router: MemoryRouter
    /// What checks the files of the store, where something does.
    let checks: ContentChecks?

    static let noMetrics: any MetricsFactory = NOOPMetricsHandler.instance

    var provider: Provider { Provider(peerID: "node at \(address)", addresses: [address]) }

    init(
        host: String = "127.0.0.1",
        readersOnly: Bool = false,
        checksFiles: Bool = false,
        readiness: Readiness = .ready("ready"),
        router other: (any Router)? = nil,
        stalls: [String] = [],
        metrics: any MetricsFactory = NOOPMetricsHandler.instance,
        configure: (inout RegistryConfiguration) -> Void = { _ in }
    ) async throws {
        var configuration = RegistryConfiguration(host: host, port: 0)
        configuration.peers.headTimeout = .seconds(1)
        configuration.peers.progressTimeout = .seconds(1)
        configuration.clients.shutdownGrace = .seconds(2)
        // The machine that runs the tests may be busy.
        configuration.peers.resolveTimeout = .seconds(2)
        configuration.peers.connectTimeout = .seconds(2)
        // Tests of the choice turn this on.
        configuration.peers.choosesProviders = false
        // Tests of what is checked before it goes out turn this on.
        configuration.checks.checkedSize = 0
        configure(&configuration)
        store = TestStore(readersOnly: readersOnly)
        index = ContentIndex()
        router = MemoryRouter()
        let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        let shown: any ContentStore = checksFiles ? CheckedStore(store, advice: "", logger: quiet) : store
        checks = shown.checks
        server = RegistryServer(
            configuration: configuration,
            store: shown,
            index: index,
            router: other ?? router,
            group: MultiThreadedEventLoopGroup.singleton,
            readiness: { readiness },
            stalls: { stalls },
            metricsFactory: metrics,
            logger: quiet
        )
        address = try await server.start()
    }

    /// A mirror that holds nothing, and a holder at another address, which checks its files, since clients here ask again
    /// and again for the same.
    static func pair(
        _ size: Int = 500_000,
        configure: (inout RegistryConfiguration) -> Void = { _ in }
    ) async throws -> (mirror: TestNode, holder: TestNode, bytes: [UInt8], digest: Digest) {
        let mirror = try await TestNode(configure: configure)
        let holder = try await TestNode(host: "127.0.0.2", checksFiles: true)
        let (bytes, digest) = try makeContent(size)
        holder.store.add(bytes, as: digest)
        mirror.router.setProviders([holder.provider], of: digest.text)
        return (mirror, holder, bytes, digest)
    }

    /// Waits until a condition holds, at most 10 s.
    static func settle(_ condition: () -> Bool) async throws -> Bool {
        for _ in 0..<1000 {
            if condition() { return true }
            try await Task.sleep(for: .milliseconds(10))
        }
        return condition()
    }
}

/// A router whose lookups find no provider and go on until they are cancelled.
final class EndlessRouter: Router {
    private let running = Mutex(0)

    /// How many lookups are going on.
    var lookups: Int { running.withLock { $0 } }

    func lookUp(
        _ key: String,
        limit: Int,
        onEvent: @escaping @Sendable (LookupEvent) -> Void
    ) -> @Sendable () -> Void {
        running.withLock { $0 += 1 }
        onEvent(.started)
        return { [self] in
            running.withLock { $0 -= 1 }
            onEvent(.ended)
        }
    }

    func advertise(_ keys: [String]) async {}
    func withdraw(_ keys: [String]) async {}
    var readiness: Readiness { .ready("for ever") }
}

/// A router whose lookups have no place among others: they wait, or are turned away at once.
struct CrowdedRouter: Router {
    let endsAtOnce: Bool

    func lookUp(
        _ key: String,
        limit: Int,
        onEvent: @escaping @Sendable (LookupEvent) -> Void
    ) -> @Sendable () -> Void {
        if endsAtOnce { onEvent(.ended) }
        return { onEvent(.ended) }
    }

    func advertise(_ keys: [String]) async {}
    func withdraw(_ keys: [String]) async {}
    var readiness: Readiness { .ready("crowded") }
}

/// A router that knows all there is to know at once, and whose lookups would not end.
final class KnowingRouter: Router {
    private let known: [String: [Provider]]

    init(_ known: [String: [Provider]]) {
        self.known = known
    }

    func lookUp(
        _ key: String,
        limit: Int,
        onEvent: @escaping @Sendable (LookupEvent) -> Void
    ) -> @Sendable () -> Void {
        { onEvent(.ended) }
    }

    func knownProviders(of key: String, limit: Int) -> [Provider]? { known[key] }
    func advertise(_ keys: [String]) async {}
    func withdraw(_ keys: [String]) async {}
    var readiness: Readiness { .ready("all-knowing") }
}

/// A peer that follows a script on every request, and counts requests and bytes.
final class ScriptedPeer: Sendable {
    enum Step: Sendable {
        case send(String)
        case bytes([UInt8])
        /// Sends zeros for as long as the other side takes them.
        case endless
        /// Sends nothing for some milliseconds.
        case pause(Int64)
        case close
        /// Closes with a reset.
        case reset
    }

    private struct State {
        var requests: [String] = []
        var sentBytes = 0
    }

    private let state = Mutex(State())
    private let channel = Mutex<(any Channel)?>(nil)
    let script: @Sendable (String) -> [Step]

    var requests: [String] { state.withLock { $0.requests } }
    var sentBytes: Int { state.withLock { $0.sentBytes } }

    private init(_ script: @escaping @Sendable (String) -> [Step]) {
        self.script = script
    }

    /// Listens on a loopback address.
    static func start(
        host: String = "127.0.0.3",
        _ script: @escaping @Sendable (String) -> [Step]
    ) async throws -> (peer: ScriptedPeer, provider: Provider) {
        let peer = ScriptedPeer(script)
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(peer: peer))
                }
            }
            .bind(host: host, port: 0).get()
        peer.channel.withLock { $0 = channel }
        guard let address = channel.localAddress else { throw RawClient.Failure(what: "no address") }
        return (peer, Provider(peerID: "scripted at \(address)", addresses: [address]))
    }

    func stop() async throws {
        try await channel.withLock { $0.take() }?.close()
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let peer: ScriptedPeer
        private var received = ""

        init(peer: ScriptedPeer) {
            self.peer = peer
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            received += String(buffer: unwrapInboundIn(data))
            guard received.hasSuffix("\r\n\r\n") else { return }
            let request = received
            received = ""
            peer.state.withLock { $0.requests.append(request) }
            perform(peer.script(request)[...], context)
        }

        /// One step after the other, each when what was sent before has left.
        private func perform(_ steps: ArraySlice<Step>, _ context: ChannelHandlerContext) {
            guard let step = steps.first else { return }
            let promise = context.eventLoop.makePromise(of: Void.self)
            promise.futureResult.assumeIsolated().whenSuccess { self.perform(steps.dropFirst(), context) }
            switch step {
            case .send(let text): write(context, ByteBuffer(string: text), promise)
            case .bytes(let bytes): write(context, ByteBuffer(bytes: bytes), promise)
            case .endless:
                pump(context)
                promise.succeed()
            case .pause(let time):
                context.eventLoop.scheduleTask(in: .milliseconds(time)) { promise.succeed() }
            case .close: context.close(promise: promise)
            case .reset:
                (context.channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0))
                    .whenComplete { _ in }
                context.close(promise: promise)
            }
        }

        private func write(_ context: ChannelHandlerContext, _ buffer: ByteBuffer, _ promise: EventLoopPromise<Void>) {
            peer.state.withLock { $0.sentBytes += buffer.readableBytes }
            context.writeAndFlush(wrapOutboundOut(buffer), promise: promise)
        }

        private func pump(_ context: ChannelHandlerContext) {
            let promise = context.eventLoop.makePromise(of: Void.self)
            promise.futureResult.assumeIsolated().whenSuccess {
                self.peer.state.withLock { $0.sentBytes += 1 << 20 }
                self.pump(context)
            }
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(repeating: 0, count: 1 << 20)), promise: promise)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }
}

/// Content of `count` bytes that show their place, and its digest.
func makeContent(_ size: Int, seed: UInt8 = 1) throws -> (bytes: [UInt8], digest: Digest) {
    var random = SeededGenerator(seed: UInt64(seed))
    // A prime number of bytes over and over, so that no shift by a buffer's size goes unseen.
    let block = (0..<min(size, 65_521)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(size)
    while bytes.count < size { bytes += block.prefix(size - bytes.count) }
    return (bytes, digestOf(bytes))
}

func digestOf(_ bytes: [UInt8]) -> Digest {
    var hasher = DigestHasher(.sha256)
    bytes.withUnsafeBytes { hasher.update($0) }
    return hasher.finish()
}
