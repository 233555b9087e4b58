extension Multiaddr {
    /// The protocols of an address, each with its code in the multicodec table and its name in the text form.
    enum ProtocolCode: UInt64, CaseIterable {
        case ip4 = 0x04
        case tcp = 0x06
        case ip6 = 0x29
        case ip6zone = 0x2A
        case dns = 0x35
        case dns4 = 0x36
        case dns6 = 0x37
        case dnsaddr = 0x38
        case udp = 0x0111
        case webrtcDirect = 0x0118
        case p2pCircuit = 0x0122
        case unix = 0x0190
        case p2p = 0x01A5
        case tls = 0x01C0
        case sni = 0x01C1
        case noise = 0x01C6
        case quic = 0x01CC
        case quicV1 = 0x01CD
        case webtransport = 0x01D1
        case certhash = 0x01D2
        case ws = 0x01DD
        case wss = 0x01DE
        case http = 0x01E0

        private static let byName: [String: ProtocolCode] = {
            var names = Dictionary(uniqueKeysWithValues: allCases.map { ($0.name, $0) })
            // The former name of /p2p, still common in configurations.
            names["ipfs"] = .p2p
            return names
        }()

        init?(name: some StringProtocol) {
            guard let code = Self.byName[String(name)] else { return nil }
            self = code
        }

        var name: String {
            switch self {
            case .ip4: "ip4"
            case .tcp: "tcp"
            case .ip6: "ip6"
            case .ip6zone: "ip6zone"
            case .dns: "dns"
            case .dns4: "dns4"
            case .dns6: "dns6"
            case .dnsaddr: "dnsaddr"
            case .udp: "udp"
            case .webrtcDirect: "webrtc-direct"
            case .p2pCircuit: "p2p-circuit"
            case .unix: "unix"
            case .p2p: "p2p"
            case .tls: "tls"
            case .sni: "sni"
            case .noise: "noise"
            case .quic: "quic"
            case .quicV1: "quic-v1"
            case .webtransport: "webtransport"
            case .certhash: "certhash"
            case .ws: "ws"
            case .wss: "wss"
            case .http: "http"
            }
        }

        /// The component of a protocol without a value; `nil` for other protocols.
        var flag: Component? {
            switch self {
            case .webrtcDirect: .webrtcDirect
            case .p2pCircuit: .p2pCircuit
            case .tls: .tls
            case .noise: .noise
            case .quic: .quic
            case .quicV1: .quicV1
            case .webtransport: .webtransport
            case .ws: .ws
            case .wss: .wss
            case .http: .http
            case .ip4, .tcp, .ip6, .ip6zone, .dns, .dns4, .dns6, .dnsaddr, .udp, .unix, .p2p, .sni, .certhash: nil
            }
        }
    }
}
