/// An IPv6 address.
public struct IPv6Address: Hashable, Sendable {
    /// The first eight bytes.
    public let high: UInt64
    /// The last eight bytes.
    public let low: UInt64

    /// `::`
    public static let unspecified = IPv6Address(high: 0, low: 0)
    /// `::1`
    public static let loopback = IPv6Address(high: 0, low: 1)

    /// The address of two halves.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// The address of sixteen bytes in network order. Returns `nil` for any other count.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 16 else { return nil }
        high = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        low = bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Parses the forms of RFC 4291, section 2.2: groups of one to four hexadecimal digits, one `::` for one or more
    /// zero groups, optionally dotted decimal in place of the last two groups. Rejects zones.
    public init?(_ text: some StringProtocol) {
        guard (2...45).contains(text.utf8.count), let groups = Self.groups(of: Array(text.utf8)) else { return nil }
        high = groups.prefix(4).reduce(0) { $0 << 16 | UInt64($1) }
        low = groups.dropFirst(4).reduce(0) { $0 << 16 | UInt64($1) }
    }

    /// The sixteen bytes in network order.
    public var bytes: [UInt8] {
        [high, low].flatMap { half in
            stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: half >> UInt64($0)) }
        }
    }

    /// The IPv4 address in `::ffff:a.b.c.d` (RFC 4291, section 2.5.5.2), or `nil`.
    public var mappedIPv4: IPv4Address? {
        high == 0 && low >> 32 == 0xFFFF ? IPv4Address(rawValue: UInt32(truncatingIfNeeded: low)) : nil
    }

    private static func groups(of text: [UInt8]) -> [UInt16]? {
        let colon = UInt8(ascii: ":")
        let gaps = text.indices.dropLast().filter { text[$0] == colon && text[$0 + 1] == colon }
        guard let gap = gaps.first else {
            let groups = sequence(of: text[...], mayEndInIPv4: true)
            return groups?.count == 8 ? groups : nil
        }
        // ":::" counts as two gaps, so it is rejected like a second "::".
        guard gaps.count == 1, let head = sequence(of: text[..<gap], mayEndInIPv4: false),
            let tail = sequence(of: text[(gap + 2)...], mayEndInIPv4: true)
        else { return nil }
        let zeros = 8 - head.count - tail.count
        return zeros >= 1 ? head + [UInt16](repeating: 0, count: zeros) + tail : nil
    }

    private static func sequence(of text: ArraySlice<UInt8>, mayEndInIPv4: Bool) -> [UInt16]? {
        if text.isEmpty { return [] }
        let parts = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard parts.count <= 8 else { return nil }
        var groups: [UInt16] = []
        for (index, part) in parts.enumerated() {
            let characters = String(decoding: part, as: UTF8.self)
            if mayEndInIPv4, index == parts.count - 1, let tail = IPv4Address(characters) {
                groups.append(UInt16(truncatingIfNeeded: tail.rawValue >> 16))
                groups.append(UInt16(truncatingIfNeeded: tail.rawValue))
            } else {
                // UInt16(_:radix:) accepts a sign; the RFC does not.
                guard (1...4).contains(part.count), part.first != UInt8(ascii: "+"),
                    part.first != UInt8(ascii: "-"), let group = UInt16(characters, radix: 16)
                else { return nil }
                groups.append(group)
            }
        }
        return groups.count <= 8 ? groups : nil
    }
}

extension IPv6Address: CustomStringConvertible {
    /// The canonical text of RFC 5952: lower case, no leading zeros, the first longest run of two or more zero groups
    /// as `::`, and `::ffff:a.b.c.d` for a mapped IPv4 address.
    public var description: String {
        if let mappedIPv4 { return "::ffff:\(mappedIPv4)" }
        let groups = [high, low].flatMap { half in
            stride(from: 48, through: 0, by: -16).map { UInt16(truncatingIfNeeded: half >> UInt64($0)) }
        }
        var longest = 0..<0
        var start = 0
        while start < groups.count {
            let end = groups[start...].firstIndex { $0 != 0 } ?? groups.count
            if end - start > longest.count { longest = start..<end }
            start = max(end, start + 1)
        }
        func text(_ groups: ArraySlice<UInt16>) -> String {
            groups.map { String($0, radix: 16) }.joined(separator: ":")
        }
        guard longest.count >= 2 else { return text(groups[...]) }
        return text(groups[..<longest.lowerBound]) + "::" + text(groups[longest.upperBound...])
    }
}
