/// A single range of a `Range` header, before the content's size is known. RFC 9110, section 14.
public enum ByteRange: Hashable, Sendable {
    /// `bytes=FIRST-LAST`, both included.
    case closed(first: Int64, last: Int64)
    /// `bytes=FIRST-`, to the end.
    case from(Int64)
    /// `bytes=-COUNT`, the last COUNT bytes.
    case suffix(Int64)

    /// The meaning of a `Range` header.
    public enum Header: Hashable, Sendable {
        /// An unsupported or malformed header: another unit, several ranges. RFC 9110 allows a server to ignore it and
        /// to answer with the whole content.
        case ignored
        /// One range.
        case single(ByteRange)
    }

    /// Parses the value of a `Range` header.
    public static func parse(header value: some StringProtocol) -> Header {
        guard value.utf8.prefix(129).count <= 128 else { return .ignored }
        let text = String(value.filter { $0 != " " && $0 != "\t" })
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard let unit = parts.first, unit.lowercased() == "bytes", parts.count == 2, let spec = parts.last else {
            return .ignored
        }
        let ends = spec.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard ends.count == 2, let start = ends.first, let end = ends.last else { return .ignored }
        if start.isEmpty {
            guard let count = number(end) else { return .ignored }
            return .single(.suffix(count))
        }
        guard let first = number(start) else { return .ignored }
        if end.isEmpty { return .single(.from(first)) }
        guard let last = number(end), last >= first else { return .ignored }
        return .single(.closed(first: first, last: last))
    }

    /// The bytes of content of `size` bytes that the range covers, or `nil` when there are none (status 416).
    public func resolved(size: Int64) -> Range<Int64>? {
        switch self {
        case .closed(let first, let last):
            guard first >= 0, first < size, last >= first else { return nil }
            return first..<(min(last, size - 1) + 1)
        case .from(let first):
            guard first >= 0, first < size else { return nil }
            return first..<size
        case .suffix(let count):
            guard count > 0, size > 0 else { return nil }
            return (size - min(count, size))..<size
        }
    }

    /// The value of a `Range` header for this range.
    public var headerValue: String {
        switch self {
        case .closed(let first, let last): "bytes=\(first)-\(last)"
        case .from(let first): "bytes=\(first)-"
        case .suffix(let count): "bytes=-\(count)"
        }
    }

    /// The value of a `Content-Range` header for a part of content of `size` bytes.
    public static func contentRange(_ range: Range<Int64>, size: Int64) -> String {
        "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(size)"
    }

    /// Parses the value of a `Content-Range` header, `bytes FIRST-LAST/SIZE`. Returns `nil` when it has another form
    /// or contradicts itself.
    public static func parse(contentRange value: some StringProtocol) -> (range: Range<Int64>, size: Int64)? {
        guard value.utf8.prefix(129).count <= 128 else { return nil }
        let words = value.split(separator: " ")
        guard words.count == 2, words[0].lowercased() == "bytes" else { return nil }
        let parts = words[1].split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let size = number(parts[1]) else { return nil }
        let ends = parts[0].split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, let first = number(ends[0]), let last = number(ends[1]) else { return nil }
        guard first <= last, last < size else { return nil }
        return (first..<(last + 1), size)
    }

    private static func number(_ digits: some StringProtocol) -> Int64? {
        guard !digits.isEmpty, digits.utf8.allSatisfy(\.isDigit) else { return nil }
        return Int64(digits)
    }
}
