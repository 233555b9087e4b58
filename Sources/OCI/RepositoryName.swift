/// The name of a repository within a registry, such as `library/alpine`.
///
/// OCI distribution-spec, "Pulling manifests": path components of lower-case letters and digits, with single
/// `.`, `_`, `__` or any number of `-` between them, joined by `/`.
public struct RepositoryName: Hashable, Sendable, CustomStringConvertible {
    /// The maximum length of a name. The specification warns that many clients stop at 255.
    public static let maximumLength = 255

    /// The name as text.
    public let text: String

    /// Parses a name. Returns `nil` for any other text.
    public init?(_ text: some StringProtocol) {
        let bytes = Substring(text).utf8
        guard bytes.prefix(Self.maximumLength + 1).count <= Self.maximumLength else { return nil }
        let components = bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard components.allSatisfy(Self.isComponent) else { return nil }
        self.text = String(text)
    }

    /// The name as text.
    public var description: String { text }

    private static func isComponent(_ bytes: some Collection<UInt8>) -> Bool {
        // The separator since the last letter or digit. A component neither starts nor ends with one.
        var separator: (byte: UInt8, count: Int)?
        var started = false
        for byte in bytes {
            if byte.isLowerAlphanumeric {
                separator = nil
                started = true
                continue
            }
            let count = (separator?.count ?? 0) + 1
            guard started, separator.map({ $0.byte == byte }) ?? true, isSeparator(byte, count) else { return false }
            separator = (byte, count)
        }
        return started && separator == nil
    }

    private static func isSeparator(_ byte: UInt8, _ count: Int) -> Bool {
        switch byte {
        case UInt8(ascii: "."): count == 1
        case UInt8(ascii: "_"): count <= 2
        case UInt8(ascii: "-"): true
        default: false
        }
    }
}
