/// An answer that cannot be decoded, in words.
struct UnexpectedDocument: Error, Hashable, CustomStringConvertible {
    /// The document in words.
    let expected: String
    /// The first difference.
    let found: String
    let address: String

    init(_ error: any Error, expected: String, address: String) {
        self.expected = expected
        self.address = address
        found =
            switch error {
            case DecodingError.keyNotFound(let key, let context):
                "a document without '\(Self.name(context.codingPath + [key]))'"
            case DecodingError.valueNotFound(_, let context): "null in '\(Self.name(context.codingPath))'"
            case DecodingError.typeMismatch(let type, let context) where context.codingPath.isEmpty:
                "JSON that is not \(Self.words(type))"
            case DecodingError.typeMismatch(let type, let context):
                "a value of '\(Self.name(context.codingPath))' that is not \(Self.words(type))"
            // The decoder does not say which of the two.
            default: "text that is not JSON, or a number out of range"
            }
    }

    var description: String {
        "expected \(expected) at \(address), found \(found). The node may run another version: compare its 'version' "
            + "with that of this command, \(Version.text), or read the answer with 'curl \(address)'"
    }

    /// `peers.list[3].peer`
    private static func name(_ path: [any CodingKey]) -> String {
        path.reduce(into: "") { name, key in
            if let index = key.intValue {
                name += "[\(index)]"
            } else {
                name += (name.isEmpty ? "" : ".") + Plain.text(key.stringValue)
            }
        }
    }

    private static func words(_ type: any Any.Type) -> String {
        switch type {
        case is String.Type: "a string"
        case is Bool.Type: "true or false"
        case is any Numeric.Type: "a number"
        case is [Any].Type: "an array"
        default: "an object"
        }
    }
}
