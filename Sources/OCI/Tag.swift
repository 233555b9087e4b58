/// The name of a manifest in a repository.
///
/// OCI distribution-spec, "Pulling manifests": `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
public struct Tag: Hashable, Sendable, CustomStringConvertible {
    /// The maximum length of a tag.
    public static let maximumLength = 128

    /// The tag as text.
    public let text: String

    /// Parses a tag. Returns `nil` for any other text.
    public init?(_ text: some StringProtocol) {
        let bytes = text.utf8
        guard let first = bytes.first, first.isAlphanumeric || first == UInt8(ascii: "_") else { return nil }
        guard bytes.prefix(Self.maximumLength + 1).count <= Self.maximumLength else { return nil }
        guard
            bytes.allSatisfy({
                $0.isAlphanumeric || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-")
            })
        else { return nil }
        self.text = String(text)
    }

    /// The tag as text.
    public var description: String { text }
}

extension UInt8 {
    /// Whether the byte is an ASCII letter or digit.
    var isAlphanumeric: Bool {
        isLowerAlphanumeric || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self)
    }

    /// Whether the byte is a lower-case ASCII letter or a digit.
    var isLowerAlphanumeric: Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self) || isDigit
    }

    /// Whether the byte is an ASCII digit.
    var isDigit: Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self)
    }
}
