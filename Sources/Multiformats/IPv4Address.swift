/// An IPv4 address.
public struct IPv4Address: Hashable, Sendable {
    /// The address as a number; the first byte is the most significant.
    public let rawValue: UInt32

    /// The address of a number whose most significant byte is the first.
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// The address `a.b.c.d`.
    public init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) {
        rawValue = UInt32(a) << 24 | UInt32(b) << 16 | UInt32(c) << 8 | UInt32(d)
    }

    /// The address of four bytes in network order. Returns `nil` for any other count.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 4 else { return nil }
        rawValue = bytes.reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// Parses dotted decimal. Rejects leading zeros, which some readers take as octal.
    public init?(_ text: some StringProtocol) {
        guard text.utf8.count <= 15 else { return nil }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            let digits = part.utf8
            guard (1...3).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }),
                digits.count == 1 || digits.first != 0x30, let byte = UInt8(part)
            else { return nil }
            value = value << 8 | UInt32(byte)
        }
        rawValue = value
    }

    /// The four bytes in network order.
    public var bytes: [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: rawValue >> $0) }
    }

    func isWithin(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8, prefixLength: UInt32) -> Bool {
        (rawValue ^ IPv4Address(a, b, c, d).rawValue) >> (32 - prefixLength) == 0
    }
}

extension IPv4Address: CustomStringConvertible {
    /// Dotted decimal.
    public var description: String {
        bytes.map(String.init).joined(separator: ".")
    }
}
