import Glibc
import Synchronization

/// A client that sends bytes as they are and waits for what comes. Not for the body of a test that must not block: its
/// waits poll.
public final class PlainConnection: Sendable {
    /// A call of the system that failed, or an answer that never came.
    public struct Failure: Error {
        var call: String
        var code = errno
    }

    private let descriptor: Mutex<Int32>

    /// Connects to a port of the loopback.
    public init(port: Int) throws {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard socket >= 0 else { throw Failure(call: "socket") }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port)).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            let failure = Failure(call: "connect")
            Glibc.close(socket)
            throw failure
        }
        _ = fcntl(socket, F_SETFL, O_NONBLOCK)
        descriptor = Mutex(socket)
    }

    deinit {
        close()
    }

    /// Ends the connection.
    public func close() {
        descriptor.withLock { descriptor in
            if descriptor >= 0 { Glibc.close(descriptor) }
            descriptor = -1
        }
    }

    /// Ends the own side: the other one sees the end of what was sent, and may still answer.
    public func closeOutput() {
        descriptor.withLock { _ = shutdown($0, Int32(SHUT_WR)) }
    }

    /// Sends what fits at once.
    public func send(_ text: String) {
        let bytes = Array(text.utf8)
        descriptor.withLock { _ = Glibc.send($0, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }
    }

    /// What comes until nothing has come for a while after the first bytes, or the time is over, or the end has come.
    public func receive(for duration: Duration) async -> String {
        var all: [UInt8] = []
        let end = ContinuousClock.now + duration
        var quietSince = ContinuousClock.now
        while ContinuousClock.now < end {
            switch read() {
            case .some(let bytes) where bytes.isEmpty: return String(decoding: all, as: UTF8.self)
            case .some(let bytes):
                all += bytes
                quietSince = .now
            case .none:
                if !all.isEmpty, ContinuousClock.now - quietSince > .milliseconds(100) {
                    return String(decoding: all, as: UTF8.self)
                }
                try? await Task.sleep(for: .milliseconds(5))
            }
        }
        return String(decoding: all, as: UTF8.self)
    }

    /// Sends a request and returns the answer.
    public func ask(_ request: String) async throws -> String {
        send(request)
        let answer = await receive(for: .seconds(20))
        guard !answer.isEmpty else { throw Failure(call: "no answer to \(request.prefix(40))", code: 0) }
        return answer
    }

    /// Whether the other side closes within a generous time; what comes before is thrown away.
    public func isClosed() async -> Bool {
        let end = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < end {
            if read()?.isEmpty == true { return true }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return false
    }

    /// Bytes, none at the end, `nil` when there are none yet.
    private func read() -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = descriptor.withLock { recv($0, &buffer, buffer.count, 0) }
        if count > 0 { return Array(buffer.prefix(count)) }
        return count < 0 && (errno == EAGAIN || errno == EINTR) ? nil : []
    }
}
