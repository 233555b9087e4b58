import Glibc

/// The socket of the service manager for the state of this process; see `sd_notify(3)`.
public struct NotifySocket: Sendable {
    private let address: sockaddr_un
    private let length: socklen_t

    /// Parses the value of `NOTIFY_SOCKET`: the path of a Unix socket, or `@` and an abstract name.
    ///
    /// - Returns: `nil` for any other value, and for one that is too long for an address.
    public init?(path: String) {
        var address = sockaddr_un()
        var bytes = Array(path.utf8)
        guard let first = bytes.first, bytes.count > 1, first == UInt8(ascii: "/") || first == UInt8(ascii: "@"),
            bytes.count < MemoryLayout.size(ofValue: address.sun_path)
        else { return nil }
        if first == UInt8(ascii: "@") { bytes[0] = 0 }
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 0
        length = socklen_t(offset + bytes.count)
        self.address = address
    }

    /// Sends a message without waiting. A full socket loses it.
    ///
    /// - Returns: whether the message was sent.
    @discardableResult
    public func send(_ message: String) -> Bool {
        let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_UNIX, type, 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        let bytes = Array(message.utf8)
        let sent = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), address, length)
            }
        }
        return sent == bytes.count
    }
}
