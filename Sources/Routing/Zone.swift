/// A failure domain of the network, such as `eu-central-1a`: Kubernetes' label `topology.kubernetes.io/zone`. Traffic
/// between zones is slower, and often costs money.
public struct Zone: Hashable, Sendable, CustomStringConvertible {
    /// The maximum length of a zone's name in bytes.
    public static let maximumLength = 63
    /// The prefix of the zone's name in identify's list of protocols. A peer that does not know it ignores it, like any
    /// unsupported protocol.
    static let protocolPrefix = "/spegel/zone/1/"

    /// The name.
    public let text: String

    /// Parses a name with the syntax of a label value in Kubernetes.
    public init?(_ text: String) {
        let bytes = text.utf8
        guard bytes.count <= Self.maximumLength, let first = bytes.first, let last = bytes.last,
            Self.isAlphanumeric(first), Self.isAlphanumeric(last),
            bytes.allSatisfy({ Self.isAlphanumeric($0) || Self.isInner($0) })
        else { return nil }
        self.text = text
    }

    /// The zone in a node's list of protocols; the first one of several.
    public init?(protocols: [String]) {
        for name in protocols where name.utf8.starts(with: Self.protocolPrefix.utf8) {
            guard let zone = Zone(String(name.dropFirst(Self.protocolPrefix.count))) else { continue }
            self = zone
            return
        }
        return nil
    }

    /// The entry in a node's list of protocols.
    public var protocolName: String { Self.protocolPrefix + text }

    /// The name.
    public var description: String { text }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }

    private static func isInner(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
    }
}
