/// Strings, after their opening quotes. TOML 1.0, "String".
extension TOMLParser {
    mutating func basicString() throws(TOMLError) -> String {
        var result: [UInt8] = []
        while let byte = bytes.first, byte != UInt8(ascii: "\n") {
            if take("\"") { return String(decoding: result, as: UTF8.self) }
            if take("\\") {
                result.append(contentsOf: String(try escaped()).utf8)
            } else {
                result.append(try character(byte))
            }
        }
        throw expected("\" at the end of a string")
    }

    mutating func literalString() throws(TOMLError) -> String {
        var result: [UInt8] = []
        while let byte = bytes.first, byte != UInt8(ascii: "\n") {
            if take("'") { return String(decoding: result, as: UTF8.self) }
            result.append(try character(byte))
        }
        throw expected("' at the end of a string")
    }

    mutating func multilineBasicString() throws(TOMLError) -> String {
        var result: [UInt8] = []
        skipFirstLineEnd()
        while let byte = bytes.first {
            if take("\"\"\"") {
                // One or two quotes may directly precede the closing three.
                for _ in 0..<2 where take("\"") { result.append(UInt8(ascii: "\"")) }
                return String(decoding: result, as: UTF8.self)
            }
            if take("\\") {
                if !skipLineContinuation() { result.append(contentsOf: String(try escaped()).utf8) }
            } else if takeLineEnd() {
                result.append(UInt8(ascii: "\n"))
            } else {
                result.append(try character(byte))
            }
        }
        throw expected("\"\"\" at the end of a string")
    }

    mutating func multilineLiteralString() throws(TOMLError) -> String {
        var result: [UInt8] = []
        skipFirstLineEnd()
        while let byte = bytes.first {
            if take("'''") {
                for _ in 0..<2 where take("'") { result.append(UInt8(ascii: "'")) }
                return String(decoding: result, as: UTF8.self)
            }
            if takeLineEnd() {
                result.append(UInt8(ascii: "\n"))
            } else {
                result.append(try character(byte))
            }
        }
        throw expected("''' at the end of a string")
    }

    private mutating func character(_ byte: UInt8) throws(TOMLError) -> UInt8 {
        guard byte >= 0x20 && byte != 0x7F || byte == UInt8(ascii: "\t") else {
            throw expected("no control characters in a string")
        }
        bytes = bytes.dropFirst()
        return byte
    }

    private mutating func escaped() throws(TOMLError) -> Unicode.Scalar {
        guard let byte = bytes.first else { throw expected("a character after \\") }
        bytes = bytes.dropFirst()
        switch byte {
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "\""): return "\""
        case UInt8(ascii: "\\"): return "\\"
        case UInt8(ascii: "u"): return try scalar(digits: 4)
        case UInt8(ascii: "U"): return try scalar(digits: 8)
        default: throw expected("one of b t n f r \" \\ u U after \\")
        }
    }

    private mutating func scalar(digits count: Int) throws(TOMLError) -> Unicode.Scalar {
        let digits = bytes.prefix(count)
        guard digits.count == count, digits.allSatisfy(TOMLLiteral.isHexDigit),
            let value = UInt32(String(decoding: digits, as: UTF8.self), radix: 16),
            let scalar = Unicode.Scalar(value)
        else { throw expected("\(count) hexadecimal digits of a character") }
        bytes = bytes.dropFirst(count)
        return scalar
    }

    private mutating func takeLineEnd() -> Bool {
        guard take("\n") || take("\r\n") else { return false }
        line += 1
        return true
    }

    private mutating func skipFirstLineEnd() {
        _ = takeLineEnd()
    }

    /// Skips blanks to the end of the line after a backslash, and all blanks and line breaks after it.
    private mutating func skipLineContinuation() -> Bool {
        let rest = bytes.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        guard rest.first == UInt8(ascii: "\n") || rest.starts(with: [UInt8(ascii: "\r"), UInt8(ascii: "\n")]) else {
            return false
        }
        bytes = rest
        while takeLineEnd() {
            bytes = bytes.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        }
        return true
    }
}
