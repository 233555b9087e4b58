import FoundationEssentials

/// JSON on one line (RFC 8259), the same for the same value.
public enum JSONText {
    /// Encodes a value with its members in the order of their names.
    ///
    /// Every control character is escaped, those of C1 too, so that a terminal shows the text and does not obey it.
    public static func encode(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: escapingControls(try encoder.encode(value)), as: UTF8.self)
    }

    /// Escapes what the encoder leaves as it is: DEL, C1 and the line separators U+2028 and U+2029. All of them stand
    /// within strings.
    private static func escapingControls(_ json: Data) -> Data {
        let isPlain = json.allSatisfy { $0 != 0x7F && $0 != 0xC2 && $0 != 0xE2 }
        guard !isPlain else { return json }
        var result = String.UnicodeScalarView()
        for scalar in String(decoding: json, as: UTF8.self).unicodeScalars {
            switch scalar.value {
            case 0x7F...0x9F, 0x2028, 0x2029:
                let digits = String(scalar.value, radix: 16)
                let zeros = String(repeating: "0", count: 4 - digits.count)
                result.append(contentsOf: "\\u\(zeros)\(digits)".unicodeScalars)
            default: result.append(scalar)
            }
        }
        return Data(String(result).utf8)
    }
}
