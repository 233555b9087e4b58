extension Multiaddr {
    /// One protocol of an address, with its value.
    public enum Component: Hashable, Sendable {
        /// An IPv4 address.
        case ip4(IPv4Address)
        /// An IPv6 address.
        case ip6(IPv6Address)
        /// The zone of the IPv6 address after it.
        case ip6zone(String)
        /// A TCP port.
        case tcp(UInt16)
        /// A UDP port.
        case udp(UInt16)
        /// A name that resolves to IPv4 and IPv6 addresses.
        case dns(String)
        /// A name that resolves to IPv4 addresses.
        case dns4(String)
        /// A name that resolves to IPv6 addresses.
        case dns6(String)
        /// A name whose TXT records hold multiaddrs.
        case dnsaddr(String)
        /// The path of a Unix domain socket, beginning with a slash; always the last component.
        case unix(String)
        /// The identity of the node.
        case p2p(PeerID)
        /// The hash of a certificate that the node presents.
        case certhash(Multihash)
        /// The name for the TLS server name indication.
        case sni(String)
        /// QUIC, draft 29.
        case quic
        /// QUIC, RFC 9000.
        case quicV1
        /// WebSocket.
        case ws
        /// WebSocket over TLS.
        case wss
        /// TLS.
        case tls
        /// Noise.
        case noise
        /// HTTP.
        case http
        /// A connection through the relay before it.
        case p2pCircuit
        /// WebTransport.
        case webtransport
        /// WebRTC without a signalling server.
        case webrtcDirect

        var code: ProtocolCode {
            switch self {
            case .ip4: .ip4
            case .ip6: .ip6
            case .ip6zone: .ip6zone
            case .tcp: .tcp
            case .udp: .udp
            case .dns: .dns
            case .dns4: .dns4
            case .dns6: .dns6
            case .dnsaddr: .dnsaddr
            case .unix: .unix
            case .p2p: .p2p
            case .certhash: .certhash
            case .sni: .sni
            case .quic: .quic
            case .quicV1: .quicV1
            case .ws: .ws
            case .wss: .wss
            case .tls: .tls
            case .noise: .noise
            case .http: .http
            case .p2pCircuit: .p2pCircuit
            case .webtransport: .webtransport
            case .webrtcDirect: .webrtcDirect
            }
        }
    }
}

extension Multiaddr.Component {
    /// The value in the text form, or `nil` for a protocol without one. The value of ``unix(_:)`` begins with a slash.
    var text: String? {
        switch self {
        case .ip4(let address): address.description
        case .ip6(let address): address.description
        case .tcp(let port), .udp(let port): String(port)
        case .ip6zone(let name), .dns(let name), .dns4(let name), .dns6(let name), .dnsaddr(let name), .sni(let name),
            .unix(let name):
            name
        case .p2p(let id): id.description
        case .certhash(let hash): "u" + Base64URL.encode(hash.bytes)
        case .quic, .quicV1, .ws, .wss, .tls, .noise, .http, .p2pCircuit, .webtransport, .webrtcDirect: nil
        }
    }

    /// Appends the binary form: the code, the length unless the code implies it, and the value.
    func append(to bytes: inout [UInt8]) {
        Varint.append(code.rawValue, to: &bytes)
        switch self {
        case .ip4(let address): bytes.append(contentsOf: address.bytes)
        case .ip6(let address): bytes.append(contentsOf: address.bytes)
        case .tcp(let port), .udp(let port):
            bytes.append(UInt8(truncatingIfNeeded: port >> 8))
            bytes.append(UInt8(truncatingIfNeeded: port))
        case .ip6zone(let name), .dns(let name), .dns4(let name), .dns6(let name), .dnsaddr(let name), .sni(let name),
            .unix(let name):
            Self.append(Array(name.utf8), to: &bytes)
        case .p2p(let id): Self.append(id.bytes, to: &bytes)
        case .certhash(let hash): Self.append(hash.bytes, to: &bytes)
        case .quic, .quicV1, .ws, .wss, .tls, .noise, .http, .p2pCircuit, .webtransport, .webrtcDirect: break
        }
    }

    private static func append(_ value: [UInt8], to bytes: inout [UInt8]) {
        Varint.append(UInt64(value.count), to: &bytes)
        bytes.append(contentsOf: value)
    }

    /// Parses the value of the protocol `code` in the text form.
    init(_ code: Multiaddr.ProtocolCode, text: Substring) throws(MultiformatsError) {
        switch code {
        case .ip4: self = .ip4(try Self.required(IPv4Address(text), code, text))
        case .ip6: self = .ip6(try Self.required(IPv6Address(text), code, text))
        case .tcp: self = .tcp(try Self.required(Self.port(text), code, text))
        case .udp: self = .udp(try Self.required(Self.port(text), code, text))
        case .p2p: self = .p2p(try PeerID(text))
        case .certhash: self = .certhash(try Multihash(bytes: Multibase.decode(text)))
        default: try self.init(code, name: String(text))
        }
    }

    /// Parses the value of the protocol `code` in the binary form.
    init(_ code: Multiaddr.ProtocolCode, from reader: inout ByteReader) throws(MultiformatsError) {
        switch code {
        case .ip4: self = .ip4(try Self.required(IPv4Address(bytes: reader.read(4, of: "/ip4")), code, ""))
        case .ip6: self = .ip6(try Self.required(IPv6Address(bytes: reader.read(16, of: "/ip6")), code, ""))
        case .tcp, .udp:
            let port = try reader.read(2, of: "/\(code.name)").reduce(UInt16(0)) { $0 << 8 | UInt16($1) }
            self = code == .tcp ? .tcp(port) : .udp(port)
        default:
            let limit = Multiaddr.maximumLength
            let value = try reader.readLengthPrefixed(limit: limit, of: "/\(code.name)")
            switch code {
            case .p2p: self = .p2p(try PeerID(bytes: value))
            case .certhash: self = .certhash(try Multihash(bytes: value))
            default:
                guard let name = String(validating: value, as: UTF8.self) else {
                    throw .invalidValue(protocolName: code.name, value: "bytes that are not UTF-8")
                }
                try self.init(code, name: name)
            }
        }
    }

    private init(_ code: Multiaddr.ProtocolCode, name: String) throws(MultiformatsError) {
        // In the text form, a slash or an empty name would look like the next component. Control characters have no
        // place in a logged address.
        let isPath = code == .unix
        let isSound = name.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F && (isPath || $0 != UInt8(ascii: "/")) }
        guard isSound, isPath ? name.hasPrefix("/") && name.utf8.count > 1 : !name.isEmpty else {
            throw .invalidValue(protocolName: code.name, value: name.clippedForError)
        }
        switch code {
        case .ip6zone: self = .ip6zone(name)
        case .dns: self = .dns(name)
        case .dns4: self = .dns4(name)
        case .dns6: self = .dns6(name)
        case .dnsaddr: self = .dnsaddr(name)
        case .sni: self = .sni(name)
        case .unix: self = .unix(name)
        default: throw .invalidValue(protocolName: code.name, value: name.clippedForError)
        }
    }

    private static func port(_ text: Substring) -> UInt16? {
        text.utf8.allSatisfy { (0x30...0x39).contains($0) } && text.utf8.count <= 5 ? UInt16(text) : nil
    }

    private static func required<Value>(
        _ value: Value?,
        _ code: Multiaddr.ProtocolCode,
        _ text: Substring
    ) throws(MultiformatsError) -> Value {
        guard let value else { throw .invalidValue(protocolName: code.name, value: String(text).clippedForError) }
        return value
    }
}
