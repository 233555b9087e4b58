extension YAMLScanner {
    /// Whether only blanks and a comment remain.
    static func isEnd(_ text: ArraySlice<UInt8>) -> Bool {
        let rest = text.drop(while: isBlank)
        guard let first = rest.first else { return true }
        return first == UInt8(ascii: "#") && (rest.startIndex == text.startIndex) == false
    }

    /// The number of brackets that a line opens minus those that it closes. Ignores quoted text and comments.
    static func openBrackets(in line: ArraySlice<UInt8>) -> Int {
        var open = 0
        var quote: UInt8?
        var before = UInt8(ascii: " ")
        var isEscaped = false
        for byte in line {
            defer { before = byte }
            if let current = quote {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\"), current == UInt8(ascii: "\"") {
                    isEscaped = true
                } else if byte == current {
                    quote = nil
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "#") where isBlank(before): return open
            case UInt8(ascii: "["), UInt8(ascii: "{"): open += 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"): open -= 1
            case UInt8(ascii: "\""), UInt8(ascii: "'"):
                // A quote inside a plain scalar is an ordinary character.
                let isStart = isBlank(before) || [0x2C, 0x3A, 0x5B, 0x7B].contains(before)
                if isStart { quote = byte }
            default: break
            }
        }
        return open
    }

    /// The text of a block scalar: literal, or folded.
    static func join(_ lines: [ArraySlice<UInt8>], isLiteral: Bool, chomping: UInt8?) -> String {
        var lines = lines
        var trailing = 0
        while lines.last?.isEmpty == true {
            lines.removeLast()
            trailing += 1
        }
        var text: [UInt8] = []
        var pending = 0
        for (index, line) in lines.enumerated() {
            if index > 0 {
                if isLiteral {
                    text.append(UInt8(ascii: "\n"))
                } else if line.isEmpty {
                    pending += 1
                    continue
                } else if pending > 0 {
                    text.append(contentsOf: repeatElement(UInt8(ascii: "\n"), count: pending))
                    pending = 0
                } else {
                    text.append(UInt8(ascii: " "))
                }
            }
            text.append(contentsOf: line)
        }
        if !lines.isEmpty, chomping != UInt8(ascii: "-") { text.append(UInt8(ascii: "\n")) }
        if chomping == UInt8(ascii: "+") { text.append(contentsOf: repeatElement(UInt8(ascii: "\n"), count: trailing)) }
        return String(decoding: text, as: UTF8.self)
    }

    /// The value of a plain scalar in YAML's core schema.
    static func resolve(_ bytes: ArraySlice<UInt8>) -> JSONValue {
        let text = String(decoding: bytes, as: UTF8.self)
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        default: break
        }
        guard let first = bytes.first, (first >= 0x30 && first <= 0x39) || [0x2B, 0x2D, 0x2E].contains(first),
            bytes.allSatisfy({ (0x30...0x39).contains($0) || [0x2B, 0x2D, 0x2E, 0x45, 0x65].contains($0) })
        else { return .string(text) }
        if let integer = Int64(text) { return .integer(integer) }
        if let number = Double(text), number.isFinite { return .number(number) }
        return .string(text)
    }

    /// The text without trailing blanks.
    static func trimmed(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var text = text
        while let last = text.last, isBlank(last) { text = text.dropLast() }
        return text
    }

    /// Whether a byte is a space, a tab or a line break.
    static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\n")
            || byte == UInt8(ascii: "\r")
    }

    /// Whether a byte is a blank, or the text ends here.
    static func isBreak(_ byte: UInt8?) -> Bool { byte.map(isBlank) ?? true }

    /// Whether a byte begins an anchor, an alias or a tag, or may not begin a plain scalar.
    static func isIndicator(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "&") || byte == UInt8(ascii: "*") || byte == UInt8(ascii: "!") || byte == UInt8(ascii: "@")
            || byte == UInt8(ascii: "`")
    }
}
