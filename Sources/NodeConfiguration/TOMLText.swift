import OCI

/// The text of keys and values in TOML 1.0.
enum TOMLText {
    /// A value on one line.
    static func inline(_ value: TOMLValue) -> String {
        switch value {
        case .string(let text): quoted(text)
        case .bool(let value): value ? "true" : "false"
        case .literal(let text): text
        case .array(let values): "[\(values.map(inline).joined(separator: ", "))]"
        case .tables(let tables): "[\(tables.map { inline(.table($0)) }.joined(separator: ", "))]"
        case .table(let table):
            "{\(table.entries.map { " \(key($0.key)) = \(inline($0.value))" }.joined(separator: ",")) }"
        }
    }

    /// A key, quoted if necessary.
    static func key(_ text: String) -> String {
        !text.isEmpty && text.utf8.allSatisfy(isBareKeyByte) ? text : quoted(text)
    }

    /// Whether a byte may be in an unquoted key.
    static func isBareKeyByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    /// A basic string.
    static func quoted(_ text: String) -> String {
        QuotedText.quoted(text)
    }
}
