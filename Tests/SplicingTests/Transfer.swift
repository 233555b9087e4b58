import ContentStore
import Glibc
import OCI
import Synchronization
import TestSupport

@testable import Splicing

/// Random bytes and their digest.
struct Content {
    let bytes: [UInt8]
    let digest: Digest

    init(_ count: Int) throws {
        var random = SeededGenerator()
        // A word at a time: millions of bytes would take seconds one by one.
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            var word: UInt64 = 0
            for place in 0..<count {
                word = place % 8 == 0 ? random.next() : word >> 8
                buffer.initializeElement(at: place, to: UInt8(truncatingIfNeeded: word))
            }
            initialized = count
        }
        var hasher = DigestHasher(.sha256)
        bytes.withUnsafeBytes { hasher.update($0) }
        self.bytes = bytes
        digest = hasher.finish()
    }
}

/// Two pairs of sockets, with a thread that writes to the source and one that reads from the destination.
final class Transfer: Sendable {
    struct Failure: Error {
        let call: String
        let code: Int32
    }

    private struct State {
        var pause = Duration.zero
        var limit = Int.max
        var stopsAfter: Duration?
        var reported = 0
        var received: [UInt8] = []
    }

    let source: SocketDescriptor
    let destination: SocketDescriptor
    private let sender: SocketDescriptor
    private let receiver: SocketDescriptor
    private let state = Mutex(State())

    init() throws {
        (sender, source) = try Self.pair()
        (destination, receiver) = try Self.pair()
        // As the sockets of an event loop. A blocking write would stop the thread of the splicer.
        for socket in [source, destination] { _ = fcntl(socket.number, F_SETFL, O_NONBLOCK) }
    }

    /// Two ends of a TCP connection on loopback. Small buffers fill soon, so that writes block.
    ///
    /// - Parameter bufferSize: `nil` leaves the size to the system.
    static func pair(bufferSize: Int32? = 64 << 10) throws -> (SocketDescriptor, SocketDescriptor) {
        let listener = SocketDescriptor(takingOver: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        let near = SocketDescriptor(takingOver: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        for socket in [listener, near] {
            guard var size = bufferSize else { break }
            setsockopt(socket.number, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout.size(ofValue: size)))
            setsockopt(socket.number, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout.size(ofValue: size)))
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isConnected = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener.number, $0, length) == 0 && listen(listener.number, 1) == 0
                    && getsockname(listener.number, $0, &length) == 0 && connect(near.number, $0, length) == 0
            }
        }
        guard isConnected else { throw Failure(call: "connect", code: errno) }
        let far = SocketDescriptor(takingOver: accept(listener.number, nil, nil))
        guard far.number >= 0 else { throw Failure(call: "accept", code: errno) }
        return (near, far)
    }

    var pauseBeforeReading: Duration {
        get { state.withLock { $0.pause } }
        set { state.withLock { $0.pause = newValue } }
    }
    /// The number of bytes after which the receiver closes.
    var readsAtMost: Int {
        get { state.withLock { $0.limit } }
        set { state.withLock { $0.limit = newValue } }
    }
    var stopsAfter: Duration? {
        get { state.withLock { $0.stopsAfter } }
        set { state.withLock { $0.stopsAfter = newValue } }
    }
    var reported: Int { state.withLock { $0.reported } }

    func closeSource() { sender.close() }

    /// All bytes that reached the receiver.
    func received() -> [UInt8] { state.withLock { $0.received } }

    func run(
        _ splicer: Splicer,
        _ content: Content,
        sends bytes: [UInt8],
        closes: Bool = false,
        isVerified: Bool = false
    ) async throws -> SpliceResult {
        let verification =
            isVerified ? DigestVerification(hasher: DigestHasher(.sha256), expected: content.digest) : nil
        return try await run(
            splicer,
            sends: bytes,
            count: content.bytes.count,
            closes: closes,
            verification: verification
        )
    }

    /// Carries a transfer out.
    ///
    /// - Parameter closes: whether the sender closes after the last byte.
    /// - Returns: the result, after the receiver has read to its end.
    func run(
        _ splicer: Splicer,
        sends bytes: [UInt8],
        count: Int? = nil,
        closes: Bool = false,
        verification: DigestVerification?
    ) async throws -> SpliceResult {
        let (results, continuation) = AsyncStream.makeStream(of: SpliceResult.self)
        let sending = Thread { [sender] in
            var sent = 0
            while sent < bytes.count {
                let next = bytes[sent...].withUnsafeBytes {
                    send(sender.number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                guard next > 0 else { break }
                sent += next
            }
            if closes { sender.close() }
        }
        let handle = splicer.begin(
            Int64(count ?? bytes.count),
            from: source,
            to: destination,
            verification: verification,
            onBytes: { count in self.state.withLock { $0.reported += count } },
            onEnd: { continuation.yield($0) }
        )
        guard let handle else { throw Failure(call: "begin", code: 0) }
        let reading = Thread { [receiver, pauseBeforeReading, readsAtMost] in
            usleep(UInt32(pauseBeforeReading.components.attoseconds / 1_000_000_000_000))
            var buffer = [UInt8](repeating: 0, count: 100_000)
            var total = 0
            while total < readsAtMost {
                let next = recv(receiver.number, &buffer, min(buffer.count, readsAtMost - total), 0)
                guard next > 0 else { break }
                total += next
                self.state.withLock { $0.received += buffer.prefix(next) }
            }
            receiver.close()
        }
        if let stopsAfter {
            try await Task.sleep(for: stopsAfter)
            handle.stop()
        }
        var iterator = results.makeAsyncIterator()
        guard let result = await iterator.next() else { throw Failure(call: "onEnd", code: 0) }
        await reading.end()
        // A source that is closed ends its sender too.
        await sending.end()
        return result
    }
}

/// A thread of a test.
struct Thread {
    private let ended: AsyncStream<Void>

    init(_ body: @escaping @Sendable () -> Void) {
        let (ended, continuation) = AsyncStream.makeStream(of: Void.self)
        self.ended = ended
        let hasStarted = DetachedThread.start(stackSize: 256 << 10) {
            body()
            continuation.finish()
        }
        if !hasStarted { continuation.finish() }
    }

    func end() async {
        for await _ in ended {}
    }
}
