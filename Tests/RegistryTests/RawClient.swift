import Glibc
import NIOCore
import NIOPosix

/// An answer as it came over the wire.
struct RawResponse: Sendable {
    var status: Int
    /// By lower-case name.
    var headers: [String: String]
    var body: [UInt8]
    /// Whether all bytes of the announced body have come.
    var isWhole: Bool

    var text: String { String(decoding: body, as: UTF8.self) }
}

/// A client of blocking sockets, so that a test decides when to read. Every wait ends after 10 s.
final class RawClient: Sendable {
    struct Failure: Error { var what: String }

    private let socket: Int32

    /// The socket.
    var descriptor: Int32 { socket }

    convenience init(_ address: SocketAddress, receiveBuffer: Int32? = nil) throws {
        let family = if case .v6 = address { AF_INET6 } else { AF_INET }
        try self.init(family: family, receiveBuffer: receiveBuffer)
        try connect(to: address)
    }

    /// A client that is not connected yet.
    static func unconnected() throws -> RawClient { try RawClient(family: AF_INET, receiveBuffer: nil) }

    private init(family: Int32, receiveBuffer: Int32?) throws {
        socket = Glibc.socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { throw Failure(what: "socket: \(errno)") }
        var timeout = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        if var size = receiveBuffer {
            setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
    }

    func connect(to address: SocketAddress) throws {
        let result = address.withSockAddr { Glibc.connect(socket, $0, socklen_t($1)) }
        guard result == 0 else { throw Failure(what: "connect: \(errno)") }
    }

    deinit { close(socket) }

    func send(_ text: String) throws {
        try send(Array(text.utf8))
    }

    func send(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { throw Failure(what: "send: \(errno)") }
            rest = rest.dropFirst(count)
        }
    }

    /// At most `count` bytes; none at the end of the stream.
    func read(upTo count: Int) throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: count)
        let result = recv(socket, &buffer, count, 0)
        guard result >= 0 else { throw Failure(what: "recv: \(errno)") }
        return Array(buffer.prefix(result))
    }

    /// Says that nothing more will be sent.
    func endOutput() {
        shutdown(socket, Int32(SHUT_WR))
    }

    /// Closes with a reset instead of a FIN.
    func reset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(socket, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        shutdown(socket, Int32(SHUT_RDWR))
    }

    /// One response; `nil` when the stream ends before its head.
    func response(isHead: Bool = false) throws -> RawResponse? {
        var bytes: [UInt8] = []
        while !bytes.suffix(4).elementsEqual(Array("\r\n\r\n".utf8)) {
            let next = try read(upTo: 1)
            if next.isEmpty { return nil }
            bytes += next
        }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\r\n")
        let status = lines.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { continue }
            headers[parts[0].lowercased()] = parts[1].drop(while: { $0 == " " }).description
        }
        var body: [UInt8] = []
        let length = isHead || status == 100 ? 0 : headers["content-length"].flatMap { Int($0) } ?? 0
        while body.count < length {
            let next = try read(upTo: min(1 << 16, length - body.count))
            if next.isEmpty { break }
            body += next
        }
        return RawResponse(status: status, headers: headers, body: body, isWhole: body.count == length)
    }
}

/// Runs blocking calls on threads that may block.
func blocking<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await NIOThreadPool.singleton.runIfActive { try work() }
}

/// One request on a connection of its own.
func fetch(
    _ address: SocketAddress,
    _ path: String,
    method: String = "GET",
    headers: [String] = []
) async throws -> RawResponse {
    try await blocking {
        let client = try RawClient(address)
        let lines = ["\(method) \(path) HTTP/1.1", "Host: test"] + headers
        try client.send(lines.joined(separator: "\r\n") + "\r\n\r\n")
        guard let response = try client.response(isHead: method == "HEAD") else {
            throw RawClient.Failure(what: "no answer")
        }
        return response
    }
}
