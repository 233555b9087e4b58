/// A failure domain of the network, as `eu-central-1a`: what Kubernetes names by the label
/// `topology.kubernetes.io/zone`. Traffic from one to another is slower, and often costs money.
public struct Zone: Hashable, Sendable, CustomStringConvertible {
    /// The most bytes that the name of a zone has.
    public static let maximumLength = 63
    /// What the name stands behind among the protocols that a node tells by identify. Whoever does not know it passes
    /// over it, as over every protocol that it does not speak.
    static let protocolPrefix = "/spegel/zone/1/"

    /// Its name.
    public let text: String

    /// Reads a name, whose syntax is that of a label's value in Kubernetes.
    public init?(_ text: String) {
        let bytes = text.utf8
        guard bytes.count <= Self.maximumLength, let first = bytes.first, let last = bytes.last,
            Self.isAlphanumeric(first), Self.isAlphanumeric(last),
            bytes.allSatisfy({ Self.isAlphanumeric($0) || Self.isInner($0) })
        else { return nil }
        self.text = text
    }

    /// The zone that a node tells among its protocols; the first one, if it tells several.
    public init?(protocols: [String]) {
        for name in protocols where name.utf8.starts(with: Self.protocolPrefix.utf8) {
            guard let zone = Zone(String(name.dropFirst(Self.protocolPrefix.count))) else { continue }
            self = zone
            return
        }
        return nil
    }

    /// How it is told among the protocols of a node.
    public var protocolName: String { Self.protocolPrefix + text }

    /// Its name.
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
