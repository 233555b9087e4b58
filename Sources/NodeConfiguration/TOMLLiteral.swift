/// The forms of numbers, dates and times in TOML 1.0. Only the form is checked, since no value is needed.
enum TOMLLiteral {
    /// Whether a text is an integer or a float.
    static func isNumber(_ text: String) -> Bool {
        var rest = text[...]
        let isSigned = rest.first == "+" || rest.first == "-"
        if isSigned { rest.removeFirst() }
        if rest == "inf" || rest == "nan" { return true }
        if !isSigned {
            for (prefix, digits) in [("0x", "0123456789abcdefABCDEF"), ("0o", "01234567"), ("0b", "01")]
            where rest.hasPrefix(prefix) {
                return isDigits(rest.dropFirst(2), of: digits)
            }
        }
        var exponent: Substring?
        if let mark = rest.firstIndex(where: { $0 == "e" || $0 == "E" }) {
            exponent = rest[rest.index(after: mark)...]
            rest = rest[..<mark]
        }
        var fraction: Substring?
        if let point = rest.firstIndex(of: ".") {
            fraction = rest[rest.index(after: point)...]
            rest = rest[..<point]
        }
        guard isDigits(rest), rest == "0" || rest.first != "0" else { return false }
        if let fraction, !isDigits(fraction) { return false }
        if var exponent {
            if exponent.first == "+" || exponent.first == "-" { exponent.removeFirst() }
            guard isDigits(exponent) else { return false }
        }
        return true
    }

    /// Whether a text has the form of a date, a time, or both. RFC 3339, section 5.6.
    static func isDateOrTime(_ text: String) -> Bool {
        var rest = text[...]
        let hasDate = rest.count >= 10 && matches(rest.prefix(10), "0000-00-00")
        if hasDate {
            rest = rest.dropFirst(10)
            if rest.isEmpty { return true }
            guard let mark = rest.popFirst(), "Tt ".contains(mark) else { return false }
        }
        guard matches(rest.prefix(8), "00:00:00") else { return false }
        rest = rest.dropFirst(8)
        if rest.first == "." {
            let digits = rest.dropFirst().prefix { "0123456789".contains($0) }
            guard !digits.isEmpty else { return false }
            rest = rest[digits.endIndex...]
        }
        if rest.isEmpty { return true }
        return hasDate && (rest == "Z" || rest == "z" || matches(rest, "+00:00") || matches(rest, "-00:00"))
    }

    static func isHexDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
            UInt8(ascii: "A")...UInt8(ascii: "F"):
            true
        default: false
        }
    }

    /// Digits with single underscores between them.
    private static func isDigits(_ text: Substring, of digits: String = "0123456789") -> Bool {
        text.split(separator: "_", omittingEmptySubsequences: false).allSatisfy { part in
            !part.isEmpty && part.allSatisfy { digits.contains($0) }
        }
    }

    /// Whether a text has the form of another, in which 0 stands for any digit.
    private static func matches(_ text: Substring, _ form: String) -> Bool {
        text.count == form.count
            && zip(text, form).allSatisfy { $1 == "0" ? "0123456789".contains($0) : $0 == $1 }
    }
}
