import ContentStore
import Files
import Glibc
import NIOCore
import NIOPosix

/// How TCP finds out how fast it may send on the connections of clients: `reno`, `cubic`, `bbr`, or what else a kernel
/// has.
///
/// BBR holds each packet back with a timer until its time has come, which costs several times as much as to send it.
/// That pays on long ways, and where packets are lost. It does not on the way to a client of the same node, where
/// containerd is, nor within a data centre. So where BBR is the system's choice, only connections of nodes that are far
/// away have it.
struct CongestionControl: Hashable, Sendable {
    /// What connections begin with; `nil` for the system's choice.
    let first: String?
    /// What those of nodes that are far away have, if it is something else.
    let farther: String?
    /// Whether the configuration names it, so that it is an error when the kernel refuses.
    let isConfigured: Bool
    /// From how many microseconds there and back on a node is far away. Nearer than that, what should be left without
    /// BBR when each thousandth packet is lost is 50 MB/s and more: 1.2 segments for each time there and back, by the
    /// root of the loss.
    let farAway: UInt32

    /// - Parameters:
    ///   - configured: the configured one for all connections, if there is one.
    ///   - system: what the system chooses.
    init(configured: String?, system: String? = Self.ofSystem, farAway: UInt32 = 1000) {
        let isPaced = configured == nil && system?.hasPrefix("bbr") == true
        // Each process may choose this one.
        first = configured ?? (isPaced ? "reno" : nil)
        farther = isPaced ? system : nil
        isConfigured = configured != nil
        self.farAway = farAway
    }

    /// What the system chooses, as far as it can be read.
    static var ofSystem: String? {
        read("tcp_congestion_control").first
    }

    /// Prepares a socket that is to listen; the connections that come of it take over what it has. One that begins with
    /// BBR keeps the timers whatever it is given later, so that all begin without.
    ///
    /// - Throws: a ``RegistryError`` when the kernel refuses what was asked for.
    func prepare(_ listener: any Channel) throws {
        guard let first else { return }
        let failure = Self.set(first, of: listener)
        guard failure != 0, isConfigured else { return }
        let reason =
            switch failure {
            case ENOENT: "this kernel has \(Self.read("tcp_available_congestion_control").joined(separator: ", "))"
            case EPERM:
                "without CAP_NET_ADMIN it may be one of net.ipv4.tcp_allowed_congestion_control: "
                    + Self.read("tcp_allowed_congestion_control").joined(separator: ", ")
            default: systemErrorText(failure)
            }
        throw RegistryError.congestionControl(first, reason: reason)
    }

    /// Another node has turned out to be at the other end of a connection.
    func isOfPeer(_ connection: any Channel) {
        guard let farther, Self.roundTripTime(of: connection) >= farAway else { return }
        _ = Self.set(farther, of: connection)
    }

    /// In microseconds, as TCP knows it from the beginning of the connection.
    private static func roundTripTime(of connection: any Channel) -> UInt32 {
        var info = tcp_info()
        var size = socklen_t(MemoryLayout.size(ofValue: info))
        let failure = call(connection) { getsockopt($0, Int32(IPPROTO_TCP), TCP_INFO, &info, &size) }
        return failure == 0 ? info.tcpi_rtt : .max
    }

    private static func set(_ name: String, of channel: any Channel) -> Int32 {
        call(channel) { setsockopt($0, Int32(IPPROTO_TCP), TCP_CONGESTION, name, socklen_t(name.utf8.count)) }
    }

    /// - Returns: the system's error number, or 0.
    private static func call(_ channel: any Channel, _ function: (NIOBSDSocket.Handle) -> Int32) -> Int32 {
        let channel = channel as? any NIOTransportAccessibleChannelCore<NIOBSDSocket.Handle>
        do {
            return try channel?.withUnsafeTransport { function($0) == 0 ? 0 : errno } ?? EINVAL
        } catch {
            return EBADF
        }
    }

    private static func read(_ file: String) -> [String] {
        let bytes = (try? Files.read("/proc/sys/net/ipv4/\(file)", limit: 4096)) ?? []
        return String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace).map(String.init)
    }
}
