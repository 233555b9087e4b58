import Files
import Multiformats

/// The gateways of the default routes, as `/proc/net/route` and `/proc/net/ipv6_route` have them.
enum DefaultGateways {
    private static let maximumLength = 1 << 20

    /// The gateways of this process's network namespace.
    static func current() -> Set<IPAddress> {
        let texts = ["/proc/net/route", "/proc/net/ipv6_route"].map { path in
            (try? Files.read(path, limit: maximumLength)).flatMap { $0 }.map { String(decoding: $0, as: UTF8.self) }
                ?? ""
        }
        return ipv4(texts[0]).union(ipv6(texts[1]))
    }

    /// Lines of an interface, a destination, a gateway, flags, …, the mask as the eighth field; numbers in hexadecimal,
    /// addresses in the byte order of the machine.
    static func ipv4(_ table: String) -> Set<IPAddress> {
        var gateways: Set<IPAddress> = []
        for line in table.split(separator: "\n").dropFirst() {
            let fields = line.split { $0 == "\t" || $0 == " " }
            guard fields.count >= 8, UInt32(fields[1], radix: 16) == 0, UInt32(fields[7], radix: 16) == 0,
                let gateway = UInt32(fields[2], radix: 16), gateway != 0
            else { continue }
            let bytes = withUnsafeBytes(of: gateway) { Array($0) }
            if let address = IPAddress(bytes: bytes) { gateways.insert(address) }
        }
        return gateways
    }

    /// Lines of a destination, its prefix, a source, its prefix, a gateway, …; numbers in hexadecimal.
    static func ipv6(_ table: String) -> Set<IPAddress> {
        var gateways: Set<IPAddress> = []
        for line in table.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count >= 5, fields[0].allSatisfy({ $0 == "0" }), UInt8(fields[1], radix: 16) == 0,
                let bytes = bytes(fields[4]), bytes.count == 16, bytes.contains(where: { $0 != 0 }),
                let address = IPAddress(bytes: bytes)
            else { continue }
            gateways.insert(address)
        }
        return gateways
    }

    private static func bytes(_ text: Substring) -> [UInt8]? {
        guard text.utf8.count.isMultiple(of: 2), text.utf8.count <= 32 else { return nil }
        var bytes: [UInt8] = []
        var rest = text
        while !rest.isEmpty {
            guard let byte = UInt8(rest.prefix(2), radix: 16) else { return nil }
            bytes.append(byte)
            rest = rest.dropFirst(2)
        }
        return bytes
    }
}
