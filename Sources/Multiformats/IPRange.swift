/// A range of addresses with a common prefix: `10.0.0.0/8`, `fd00::/8` (CIDR notation: RFC 4632, section 3.1, and RFC
/// 4291, section 2.3).
public struct IPRange: Hashable, Sendable {
    /// The first address.
    public let first: IPAddress
    /// The length of the common prefix in bits: 0 to 32, or 0 to 128.
    public let prefixLength: Int

    /// The range of a first address and a prefix length. Returns `nil` when the length is too large, or when bits are
    /// set after the prefix, as in 10.1.2.3/8, which is mostly a mistake.
    public init?(_ first: IPAddress, prefixLength: Int) {
        let mask = Self.mask(prefixLength)
        switch first {
        case .v4(let address):
            guard (0...32).contains(prefixLength), UInt64(address.rawValue) << 32 & ~mask.high == 0 else { return nil }
        case .v6(let address):
            guard (0...128).contains(prefixLength), address.high & ~mask.high == 0, address.low & ~mask.low == 0
            else { return nil }
        }
        self.first = first
        self.prefixLength = prefixLength
    }

    /// Parses a range or a single address. An IPv4-mapped IPv6 range becomes the IPv4 range.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let part = parts.first, let address = try? IPAddress(part) else { return nil }
        let width = address.bytes.count * 8
        var length = width
        if parts.count == 2 {
            guard (1...3).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let number = Int(parts[1])
            else { return nil }
            length = number
        }
        let unmapped = address.unmapped
        if width == 128, unmapped.bytes.count == 4 {
            guard (96...128).contains(length) else { return nil }
            length -= 96
        }
        self.init(unmapped, prefixLength: length)
    }

    /// Whether an address is in the range. An IPv4-mapped IPv6 address counts as the IPv4 address.
    public func contains(_ address: IPAddress) -> Bool {
        let mask = Self.mask(prefixLength)
        switch (first, address.unmapped) {
        case (.v4(let first), .v4(let address)):
            return UInt64(first.rawValue ^ address.rawValue) << 32 & mask.high == 0
        case (.v6(let first), .v6(let address)):
            return (first.high ^ address.high) & mask.high == 0 && (first.low ^ address.low) & mask.low == 0
        default: return false
        }
    }

    /// The bits of a prefix in two halves of 64 bits. An IPv4 address takes the upper half of the first.
    private static func mask(_ length: Int) -> (high: UInt64, low: UInt64) {
        // A shift by the full width or more gives 0.
        (~(UInt64.max >> max(0, length)), length <= 64 ? 0 : ~(UInt64.max >> (length - 64)))
    }
}

extension IPRange: CustomStringConvertible {
    /// CIDR notation.
    public var description: String { "\(first)/\(prefixLength)" }
}
