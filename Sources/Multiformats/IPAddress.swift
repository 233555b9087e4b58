/// An IPv4 or IPv6 address.
public enum IPAddress: Hashable, Sendable {
    /// Four bytes.
    case v4(IPv4Address)
    /// Sixteen bytes.
    case v6(IPv6Address)

    /// Parses dotted decimal or the forms of RFC 4291, section 2.2. Rejects names and zones.
    ///
    /// - Throws: ``MultiformatsError/invalidIPAddress(_:)``.
    public init(_ text: some StringProtocol) throws(MultiformatsError) {
        if let address = IPv4Address(text) {
            self = .v4(address)
        } else if let address = IPv6Address(text) {
            self = .v6(address)
        } else {
            throw .invalidIPAddress(String(text.prefix(65)).clippedForError)
        }
    }

    /// The address of 4 or 16 bytes in network order. Returns `nil` for any other count.
    public init?(bytes: some Collection<UInt8>) {
        if let address = IPv4Address(bytes: bytes) {
            self = .v4(address)
        } else if let address = IPv6Address(bytes: bytes) {
            self = .v6(address)
        } else {
            return nil
        }
    }

    /// The 4 or 16 bytes in network order.
    public var bytes: [UInt8] {
        switch self {
        case .v4(let address): address.bytes
        case .v6(let address): address.bytes
        }
    }

    /// Dotted decimal, or the canonical text of RFC 5952.
    public var text: String {
        switch self {
        case .v4(let address): address.description
        case .v6(let address): address.description
        }
    }

    /// The IPv4 address inside an IPv4-mapped IPv6 address. Any other address is unchanged.
    public var unmapped: IPAddress {
        if case .v6(let address) = self, let mapped = address.mappedIPv4 { .v4(mapped) } else { self }
    }

    /// Whether two addresses share a /24 of IPv4 or a /64 of IPv6, most likely one network.
    public func sharesNetwork(with other: IPAddress) -> Bool {
        switch (unmapped, other.unmapped) {
        case (.v4(let left), .v4(let right)): left.rawValue >> 8 == right.rawValue >> 8
        case (.v6(let left), .v6(let right)): left.high == right.high
        default: false
        }
    }

    /// Whether the address is a loopback address: 127.0.0.0/8, ::1.
    public var isLoopback: Bool {
        switch unmapped {
        case .v4(let address): address.isWithin(127, 0, 0, 0, prefixLength: 8)
        case .v6(let address): address == .loopback
        }
    }

    /// Whether the address is unspecified: 0.0.0.0, ::.
    public var isUnspecified: Bool {
        switch unmapped {
        case .v4(let address): address.rawValue == 0
        case .v6(let address): address == .unspecified
        }
    }

    /// Whether the address is link-local: 169.254.0.0/16, fe80::/10.
    public var isLinkLocal: Bool {
        switch unmapped {
        case .v4(let address): address.isWithin(169, 254, 0, 0, prefixLength: 16)
        case .v6(let address): address.high >> 54 == 0xFE80 >> 6
        }
    }

    /// Whether the address is private: RFC 1918, fc00::/7.
    public var isPrivate: Bool {
        switch unmapped {
        case .v4(let address):
            address.isWithin(10, 0, 0, 0, prefixLength: 8)
                || address.isWithin(172, 16, 0, 0, prefixLength: 12)
                || address.isWithin(192, 168, 0, 0, prefixLength: 16)
        case .v6(let address): address.high >> 57 == 0xFC >> 1
        }
    }
}

extension IPAddress: Comparable {
    /// Orders IPv4 before IPv6, and each by number.
    public static func < (left: IPAddress, right: IPAddress) -> Bool {
        switch (left, right) {
        case (.v4(let left), .v4(let right)): left.rawValue < right.rawValue
        case (.v6(let left), .v6(let right)): (left.high, left.low) < (right.high, right.low)
        case (.v4, .v6): true
        case (.v6, .v4): false
        }
    }
}

extension IPAddress: CustomStringConvertible {
    /// The same as ``text``.
    public var description: String { text }
}
