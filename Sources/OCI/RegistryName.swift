/// The name of a registry as in references and the `ns` parameter: `docker.io`, `registry.lab:5000`, `[fd00::1]:5000`.
public struct RegistryName: Hashable, Sendable, CustomStringConvertible {
    /// The maximum length of a name: a DNS name and a port.
    public static let maximumLength = 255 + 6

    /// The name as text.
    public let text: String

    /// Parses a host name or address with an optional port. Returns `nil` for any other text.
    public init?(_ text: some StringProtocol) {
        let bytes = Substring(text).utf8
        guard !bytes.isEmpty, bytes.prefix(Self.maximumLength + 1).count <= Self.maximumLength else { return nil }
        var host = bytes[...]
        if bytes.first == UInt8(ascii: "[") {
            guard let end = bytes.firstIndex(of: UInt8(ascii: "]")) else { return nil }
            let address = bytes[bytes.index(after: bytes.startIndex)..<end]
            let isAddress = address.allSatisfy {
                Self.isHexDigit($0) || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".")
            }
            guard address.count > 1, isAddress else { return nil }
            host = bytes[bytes.index(after: end)...]
            guard host.isEmpty || (host.first == UInt8(ascii: ":") && Self.isPort(host.dropFirst())) else { return nil }
        } else {
            if let colon = bytes.firstIndex(of: UInt8(ascii: ":")) {
                guard Self.isPort(bytes[bytes.index(after: colon)...]) else { return nil }
                host = bytes[..<colon]
            }
            var rest = host
            while let dot = rest.firstIndex(of: UInt8(ascii: ".")) {
                guard Self.isLabel(rest[..<dot]) else { return nil }
                rest = rest[rest.index(after: dot)...]
            }
            guard Self.isLabel(rest) else { return nil }
        }
        self.text = String(text)
    }

    /// The name as text.
    public var description: String { text }

    /// Whether the first part of an image name that a person typed is a registry, and not the first part of a
    /// repository: only a registry has a dot or a port, or is `localhost`.
    public static func isTypedAsRegistry(_ text: some StringProtocol) -> Bool {
        text.contains(".") || text.contains(":") || text == "localhost"
    }

    /// Parses the first component of a repository's path where that names a registry: if it has a dot or a port, or is
    /// `localhost`. Since repositories have no colon in their names, an underscore may precede the port:
    /// `registry.corp_5000`. Returns `nil` for any other text.
    public init?(pathComponent text: some StringProtocol) {
        var name = String(text)
        if let mark = name.lastIndex(of: "_"), Self.isPort(name[name.index(after: mark)...].utf8),
            !name.contains(":"), Self.isTypedAsRegistry(name[..<mark])
        {
            name.replaceSubrange(mark...mark, with: ":")
        }
        guard Self.isTypedAsRegistry(name) else { return nil }
        self.init(name)
    }

    /// The name as the first component of a repository's path, as ``init(pathComponent:)`` parses it; `nil` for a name
    /// that cannot be one: an IPv6 address, capitals, or a host without a dot.
    public var pathComponent: String? {
        var component = text
        if let colon = text.lastIndex(of: ":") { component.replaceSubrange(colon...colon, with: "_") }
        return RepositoryName(component) != nil && RegistryName(pathComponent: component) == self ? component : nil
    }

    private static func isLabel(_ label: some Collection<UInt8>) -> Bool {
        let dash = UInt8(ascii: "-")
        guard let first = label.first, label.count <= 63, first != dash else { return false }
        // DNS forbids underscores in host names, but container networks use them.
        var last = first
        for byte in label {
            guard byte.isAlphanumeric || byte == dash || byte == UInt8(ascii: "_") else { return false }
            last = byte
        }
        return last != dash
    }

    private static func isPort(_ digits: some Collection<UInt8>) -> Bool {
        guard (1...5).contains(digits.count), digits.allSatisfy(\.isDigit) else { return false }
        let value = digits.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
        return (1...65535).contains(value)
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        byte.isDigit || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
            || (UInt8(ascii: "A")...UInt8(ascii: "F")).contains(byte)
    }
}
