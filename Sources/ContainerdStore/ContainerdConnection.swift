import ContentStore
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import GRPCProtobuf
import Glibc
import NIOCore
import OCI
internal import SwiftProtobuf
import Synchronization

/// The gRPC client of one containerd. Each call has a deadline; errors become ``ContainerdError``.
///
/// A call to an unreachable containerd fails at once. The connection is retried in the background, so that a later
/// call succeeds.
final class ContainerdConnection: Sendable {
    private struct State {
        var isClosed = false
        var nextWatch: UInt64 = 0
        var watches: [UInt64: Task<Void, Never>] = [:]
    }

    let socketPath: String
    let namespace: String
    let deadlines: ContainerdStore.Deadlines
    let client: GRPCClient<HTTP2ClientTransport.Posix>
    private let state = Mutex(State())

    /// The maximum size of a message in bytes: a listing of 100,000 images. containerd itself sends at most 16 MiB.
    private static let maximumMessageSize = 32 << 20

    init(
        socketPath: String,
        namespace: String,
        deadlines: ContainerdStore.Deadlines,
        group: any EventLoopGroup
    ) throws {
        guard ContainerdStore.isValidSocketPath(socketPath) else {
            throw ContainerdError.invalidSocketPath(socketPath)
        }
        self.socketPath = socketPath
        self.namespace = namespace
        self.deadlines = deadlines
        let transport = try HTTP2ClientTransport.Posix(
            target: .unixDomainSocket(path: socketPath, authority: "localhost"),
            transportSecurity: .plaintext,
            config: .defaults { config in
                config.backoff = .init(initial: .milliseconds(50), max: .seconds(1), multiplier: 1.6, jitter: 0.2)
                config.http2.targetWindowSize = 1 << 20
                // Detects a containerd that hangs while the client waits for events. gRPC servers in Go close a
                // connection on which a client pings more often than every 5 minutes.
                config.connection.keepalive = .init(
                    time: .seconds(360),
                    timeout: .seconds(20),
                    allowWithoutCalls: false
                )
            },
            eventLoopGroup: group
        )
        client = GRPCClient(transport: transport)
    }

    /// Runs the connection until ``close()`` is called or the task is cancelled.
    func run() async throws {
        defer { close() }
        do {
            try await client.runConnections()
        } catch let error as RuntimeError where error.code == .clientIsStopped {
            // Closed before it ran.
        }
    }

    /// Lets running calls finish, ends the watches and rejects further calls.
    func close() {
        let watches = state.withLock { state in
            state.isClosed = true
            defer { state.watches = [:] }
            return Array(state.watches.values)
        }
        client.beginGracefulShutdown()
        for watch in watches { watch.cancel() }
    }

    // MARK: Calls

    func version() async throws -> String {
        let version = Containerd_Services_Version_V1_Version.Client(wrapping: client)
        return try await call("get the version", within: deadlines.call) { options in
            try await version.version(.init(), metadata: metadata, options: options).version
        }
    }

    /// The image of this name, or `nil` when there is none.
    func image(name: String) async throws -> Containerd_Services_Images_V1_Image? {
        let images = Containerd_Services_Images_V1_Images.Client(wrapping: client)
        return try await call("look up an image", within: deadlines.call) { options in
            do {
                let answer = try await images.get(.with { $0.name = name }, metadata: metadata, options: options)
                return answer.hasImage ? answer.image : nil
            } catch let error as RPCError where error.code == .notFound {
                return nil
            }
        }
    }

    func images() async throws -> [Containerd_Services_Images_V1_Image] {
        let images = Containerd_Services_Images_V1_Images.Client(wrapping: client)
        return try await call("list images", within: deadlines.listing) { options in
            try await images.list(.init(), metadata: metadata, options: options).images
        }
    }

    /// The metadata of content, or `nil` when it is missing.
    func info(of digest: Digest) async throws -> StoredContent? {
        guard let info = try await details(of: digest) else { return nil }
        var labels = SourceLabels()
        return StoredContent(digest: digest, size: info.size, sources: labels.sources(in: info.labels))
    }

    /// A reader of content, or `nil` when it is missing.
    func reader(of digest: Digest) async throws -> ContainerdReader? {
        guard let info = try await details(of: digest) else { return nil }
        var stamp: ContentStamp?
        if info.hasCreatedAt {
            let stored = timespec(tv_sec: Int(info.createdAt.seconds), tv_nsec: Int(info.createdAt.nanos))
            stamp = ContentStamp(size: info.size, stored: stored)
        }
        return ContainerdReader(connection: self, digest: digest, size: info.size, stamp: stamp)
    }

    /// All metadata of content, or `nil` when it is missing. The size is at least 0.
    private func details(of digest: Digest) async throws -> Containerd_Services_Content_V1_Info? {
        let content = Containerd_Services_Content_V1_Content.Client(wrapping: client)
        let operation = "get content metadata"
        let info: Containerd_Services_Content_V1_Info? = try await call(operation, within: deadlines.call) { options in
            do {
                let request = Containerd_Services_Content_V1_InfoRequest.with { $0.digest = digest.text }
                return try await content.info(request, metadata: metadata, options: options).info
            } catch let error as RPCError where error.code == .notFound {
                return nil
            }
        }
        guard let info else { return nil }
        guard info.size >= 0 else {
            throw ContainerdError.malformedAnswer(operation: operation, detail: "\(digest) has \(info.size) bytes")
        }
        return info
    }

    /// All content with a supported digest.
    ///
    /// - Parameter isEnough: called after each part of the listing; the listing stops when it returns true.
    func contents(until isEnough: @Sendable @escaping (Int) -> Bool = { _ in false }) async throws -> [StoredContent] {
        let content = Containerd_Services_Content_V1_Content.Client(wrapping: client)
        return try await call("list content", within: deadlines.listing) { options in
            try await content.list(.init(), metadata: metadata, options: options) { response in
                var contents: [StoredContent] = []
                var labels = SourceLabels()
                for try await message in response.messages {
                    for info in message.info where info.size >= 0 {
                        guard let digest = try? Digest(info.digest) else { continue }
                        let sources = labels.sources(in: info.labels)
                        contents.append(StoredContent(digest: digest, size: info.size, sources: sources))
                    }
                    if isEnough(contents.count) { break }
                }
                return contents
            }
        }
    }

    /// Reads exactly `count` bytes of content from `offset`.
    func read(_ digest: Digest, from offset: Int64, count: Int) async throws -> [UInt8] {
        guard count > 0 else { return [] }
        let content = Containerd_Services_Content_V1_Content.Client(wrapping: client)
        let operation = "read content"
        let request = Containerd_Services_Content_V1_ReadContentRequest.with {
            $0.digest = digest.text
            $0.offset = offset
            $0.size = Int64(count)
        }
        return try await call(operation, within: deadlines.call) { options in
            do {
                return try await content.read(request, metadata: metadata, options: options) { response in
                    var bytes: [UInt8] = []
                    bytes.reserveCapacity(count)
                    for try await message in response.messages {
                        guard message.data.count <= count - bytes.count else {
                            throw ContainerdError.malformedAnswer(
                                operation: operation,
                                detail: "expected \(count) bytes, got more"
                            )
                        }
                        bytes.append(contentsOf: message.data)
                    }
                    guard bytes.count == count else {
                        throw ContentError.truncated(
                            at: offset + Int64(bytes.count),
                            expected: offset + Int64(count)
                        )
                    }
                    return bytes
                }
            } catch let error as RPCError where error.code == .notFound {
                throw ContainerdError.contentGone(digest)
            } catch let error as RPCError where error.message.hasSuffix("input/output error") {
                // containerd passes on the system's text without its number: the disk cannot read the content.
                throw ContentError.system(operation: "read", path: digest.text, errno: EIO)
            }
        }
    }

    // MARK: Watching

    /// The number of active watches.
    var watchCount: Int {
        state.withLock(\.watches.count)
    }

    /// Sends changes to the channel until the task is cancelled or the events end; the channel then fails.
    ///
    /// The first change is `unknown`. It is sent when the subscription is under way, since earlier events are lost.
    func watch(into channel: ChangeChannel) -> Task<Void, Never> {
        state.withLock { state in
            guard !state.isClosed else {
                channel.fail(ContainerdError.closed)
                return Task {}
            }
            let id = state.nextWatch
            state.nextWatch &+= 1
            let task = Task { [self] in
                do {
                    // A subscription has no deadline. This call finds any fault of the connection within one.
                    _ = try await version()
                    try await subscribe(into: channel)
                } catch {
                    channel.fail(self.state.withLock(\.isClosed) ? ContainerdError.closed : error)
                }
                self.state.withLock { _ = $0.watches.removeValue(forKey: id) }
            }
            state.watches[id] = task
            return task
        }
    }

    private func subscribe(into channel: ChangeChannel) async throws {
        let request = Containerd_Services_Events_V1_SubscribeRequest.with {
            $0.filters = EventMapping.filters(namespace: namespace)
        }
        try await call("subscribe to events", within: nil) { [namespace] options in
            try await client.bidirectionalStreaming(
                request: StreamingClientRequest(metadata: metadata) { writer in
                    try await writer.write(request)
                    channel.send(.unknown)
                },
                descriptor: Containerd_Services_Events_V1_Events.Method.Subscribe.descriptor,
                serializer: ProtobufSerializer<Containerd_Services_Events_V1_SubscribeRequest>(),
                deserializer: ProtobufDeserializer<Containerd_Services_Events_V1_Envelope>(),
                options: options
            ) { response in
                for try await event in response.messages {
                    guard let change = EventMapping.change(for: event, namespace: namespace) else { continue }
                    channel.send(change)
                }
            }
        }
        throw ContainerdError.unavailable(path: socketPath, reason: "event stream ended")
    }

    // MARK: Common to all calls

    var metadata: Metadata {
        ["containerd-namespace": .string(namespace)]
    }

    func call<Answer: Sendable>(
        _ operation: String,
        within deadline: Duration?,
        _ body: (CallOptions) async throws -> Answer
    ) async throws -> Answer {
        var options = CallOptions.defaults
        options.timeout = deadline
        options.waitForReady = false
        options.maxResponseMessageBytes = Self.maximumMessageSize
        // The transport applies this limit to received messages.
        options.maxRequestMessageBytes = Self.maximumMessageSize
        do {
            return try await body(options)
        } catch let error as RPCError {
            throw translated(error, operation: operation, deadline: deadline)
        } catch let error as RuntimeError {
            throw error.code == .clientIsStopped
                ? ContainerdError.closed : .unavailable(path: socketPath, reason: error.message)
        }
    }

    private func translated(_ error: RPCError, operation: String, deadline: Duration?) -> any Error {
        if Task.isCancelled { return state.withLock(\.isClosed) ? ContainerdError.closed : CancellationError() }
        switch error.code {
        case .deadlineExceeded:
            return ContainerdError.timedOut(operation: operation, path: socketPath, after: deadline ?? .zero)
        case .unimplemented:
            return ContainerdError.notContainerd(path: socketPath, reason: "no such method: \(operation)")
        case .unavailable, .cancelled:
            if state.withLock(\.isClosed) { return ContainerdError.closed }
            return SocketProbe.problem(path: socketPath)
                ?? ContainerdError.unavailable(path: socketPath, reason: Self.reason(error))
        default:
            return ContainerdError.refused(operation: operation, code: "\(error.code)", message: error.message)
        }
    }

    /// The message of the innermost error with one. The outer errors are about channels and streams.
    private static func reason(_ error: RPCError) -> String {
        var innermost = error
        while let cause = innermost.cause as? RPCError { innermost = cause }
        return innermost.message
    }
}
