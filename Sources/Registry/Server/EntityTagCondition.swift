import OCI

/// What an `If-None-Match` header asks for. The entity tag of content is its digest. RFC 9110, section 13.1.2.
enum EntityTagCondition: Hashable, Sendable {
    /// `*`: whatever there is.
    case any
    /// Some entity tags, without their quotation marks; whether they are weak makes no difference here.
    case tags([String])

    /// How many entity tags are looked at.
    static let maximumTags = 64

    /// Reads the values of the header. What is malformed is ignored, as if there were no such header.
    init?(_ values: [String]) {
        guard !values.isEmpty else { return nil }
        if values.count == 1, values[0].drop(while: Self.isSpace).prefix(while: { !Self.isSpace($0) }) == "*" {
            self = .any
            return
        }
        var tags: [String] = []
        for value in values {
            guard let found = Self.parse(value.utf8) else { return nil }
            tags += found
            guard tags.count <= Self.maximumTags else { return nil }
        }
        guard !tags.isEmpty else { return nil }
        self = .tags(tags)
    }

    /// Whether the client has this content already.
    func matches(_ digest: Digest) -> Bool {
        switch self {
        case .any: true
        case .tags(let tags): tags.contains(digest.text)
        }
    }

    private static func isSpace(_ character: Character) -> Bool { character == " " || character == "\t" }

    /// A list of `[W/]"…"`, with empty elements between commas; section 8.8.3.
    private static func parse(_ value: String.UTF8View) -> [String]? {
        var rest = value[...]
        var tags: [String] = []
        while true {
            rest = rest.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: ",") }
            guard !rest.isEmpty else { return tags }
            if rest.starts(with: "W/".utf8) { rest = rest.dropFirst(2) }
            guard rest.first == UInt8(ascii: "\"") else { return nil }
            let opaque = rest.dropFirst().prefix { $0 != UInt8(ascii: "\"") }
            rest = rest.dropFirst(1 + opaque.count)
            guard rest.first == UInt8(ascii: "\""), tags.count < maximumTags else { return nil }
            rest = rest.dropFirst().drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
            guard rest.isEmpty || rest.first == UInt8(ascii: ",") else { return nil }
            tags.append(String(decoding: opaque, as: UTF8.self))
        }
    }
}
