/// The name of a repository within a registry, such as `library/alpine`.
///
/// OCI distribution-spec, "Pulling manifests": path components of lower-case letters and digits, with single
/// `.`, `_`, `__` or any number of `-` between them, joined by `/`.
public struct RepositoryName: Hashable, Sendable, CustomStringConvertible {
    /// The most characters that a name may have; the specification warns that many clients stop at 255.
    public static let maximumLength = 255

    /// The name as text.
    public let text: String

    /// Parses a name, or gives `nil` when the text is none.
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
        // The separators since the last letter or digit; a component neither starts nor ends with one.
        var separators: [UInt8] = []
        var started = false
        for byte in bytes {
            if byte.isLowerAlphanumeric {
                guard separators.isEmpty || (started && isSeparator(separators)) else { return false }
                separators.removeAll(keepingCapacity: true)
                started = true
            } else {
                separators.append(byte)
            }
        }
        return started && separators.isEmpty
    }

    private static func isSeparator(_ bytes: [UInt8]) -> Bool {
        switch bytes {
        case [UInt8(ascii: ".")], [UInt8(ascii: "_")], [UInt8(ascii: "_"), UInt8(ascii: "_")]: true
        default: bytes.allSatisfy { $0 == UInt8(ascii: "-") }
        }
    }
}
