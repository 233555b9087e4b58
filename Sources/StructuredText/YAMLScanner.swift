/// Reads scalars and flow collections from a line. A collection may need further lines.
struct YAMLScanner {
    private var bytes: [UInt8]
    private var position = 0
    private let line: Int
    private let keepsNumbers: Bool
    private var depth = 0

    init(_ text: ArraySlice<UInt8>, line: Int, keepsNumbers: Bool = false) {
        bytes = Array(text)
        self.line = line
        self.keepsNumbers = keepsNumbers
    }

    /// Appends the next line to an unclosed collection.
    mutating func append(_ text: ArraySlice<UInt8>) {
        bytes.append(UInt8(ascii: "\n"))
        bytes.append(contentsOf: text)
    }

    /// Thrown where the text ends inside a collection.
    private struct Incomplete: Error {}

    /// The single value of the text, or `nil` when it is incomplete.
    mutating func value() throws(YAMLError) -> JSONValue? {
        position = 0
        depth = 0
        do {
            let value = try item(inFlow: false)
            guard Self.isEnd(bytes[position...]) else { throw error("unexpected text after the value") }
            return value
        } catch is Incomplete {
            return nil
        } catch let error as YAMLError {
            throw error
        } catch {
            throw self.error("\(error)")
        }
    }

    /// The key at the start of a line and the text after its colon, or `nil` when the line has no key.
    static func key(in line: YAMLLine) throws(YAMLError) -> (key: String, rest: ArraySlice<UInt8>)? {
        let text = line.text
        switch text.first {
        case UInt8(ascii: "{"), UInt8(ascii: "["): return nil
        case UInt8(ascii: "\""), UInt8(ascii: "'"):
            var scanner = YAMLScanner(text, line: line.number)
            let key = try scanner.quoted()
            let rest = scanner.bytes[scanner.position...].drop { $0 == UInt8(ascii: " ") }
            guard rest.first == UInt8(ascii: ":"), isBreak(rest.dropFirst().first) else { return nil }
            return (key, rest.dropFirst())
        case UInt8(ascii: "?") where isBreak(text.dropFirst().first):
            throw YAMLError(line: line.number, reason: "complex keys are not supported")
        default:
            var index = text.startIndex
            while index < text.endIndex {
                let next = index + 1 < text.endIndex ? text[index + 1] : nil
                if text[index] == UInt8(ascii: ":"), isBreak(next) {
                    let key = text[..<index]
                    guard let first = key.first else { return nil }
                    guard !isIndicator(first) else {
                        throw YAMLError(line: line.number, reason: "anchors, aliases and tags are not supported")
                    }
                    return (String(decoding: trimmed(key), as: UTF8.self), text[(index + 1)...])
                }
                if text[index] == UInt8(ascii: " "), next == UInt8(ascii: "#") { return nil }
                index += 1
            }
            return nil
        }
    }

    // MARK: Values

    private mutating func item(inFlow: Bool) throws -> JSONValue {
        skipBlanks()
        guard position < bytes.count else {
            if inFlow { throw Incomplete() }
            return .null
        }
        switch bytes[position] {
        case UInt8(ascii: "{"): return try nested { scanner in try scanner.object() }
        case UInt8(ascii: "["): return try nested { scanner in try scanner.array() }
        case UInt8(ascii: "\""), UInt8(ascii: "'"): return .string(try quoted())
        case let first where Self.isIndicator(first): throw error("anchors, aliases and tags are not supported")
        default: return try scalar(plain(inFlow: inFlow))
        }
    }

    private func scalar(_ text: ArraySlice<UInt8>) throws -> JSONValue {
        let value = Self.resolve(text)
        switch value {
        case .integer, .number:
            guard keepsNumbers else { return value }
            let text = String(decoding: text, as: UTF8.self)
            let digits = text.drop { $0 == "+" || $0 == "-" }
            guard digits.first == "0", digits.dropFirst().first?.isNumber == true else { return .string(text) }
            throw error("expected a number without a leading zero, or a text in quotes, found \(text.prefix(64))")
        default: return value
        }
    }

    private mutating func nested(_ body: (inout YAMLScanner) throws -> JSONValue) throws -> JSONValue {
        depth += 1
        defer { depth -= 1 }
        guard depth <= YAMLParser.maximumDepth else { throw error("nested too deeply") }
        position += 1
        return try body(&self)
    }

    private mutating func array() throws -> JSONValue {
        var items: [JSONValue] = []
        while true {
            if try take(UInt8(ascii: "]")) { return .array(items) }
            items.append(try item(inFlow: true))
            guard try take(UInt8(ascii: ",")) else {
                guard try take(UInt8(ascii: "]")) else { throw error("expected ',' or ']'") }
                return .array(items)
            }
        }
    }

    private mutating func object() throws -> JSONValue {
        var members: [String: JSONValue] = [:]
        while true {
            if try take(UInt8(ascii: "}")) { return .object(members) }
            let key =
                switch bytes[position] {
                case UInt8(ascii: "\""), UInt8(ascii: "'"): try quoted()
                default: String(decoding: plain(inFlow: true), as: UTF8.self)
                }
            var value = JSONValue.null
            if try take(UInt8(ascii: ":")) {
                skipBlanks()
                guard position < bytes.count else { throw Incomplete() }
                if ![UInt8(ascii: ","), UInt8(ascii: "}")].contains(bytes[position]) { value = try item(inFlow: true) }
            }
            guard members.updateValue(value, forKey: key) == nil else {
                throw error("duplicate key '\(key.prefix(64))'")
            }
            guard try take(UInt8(ascii: ",")) else {
                guard try take(UInt8(ascii: "}")) else { throw error("expected ',' or '}'") }
                return .object(members)
            }
        }
    }

    /// Takes `byte` if it comes next in a collection.
    private mutating func take(_ byte: UInt8) throws -> Bool {
        skipBlanks()
        guard position < bytes.count else { throw Incomplete() }
        guard bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func skipBlanks() {
        while position < bytes.count {
            if bytes[position] == UInt8(ascii: "#"), position > 0, Self.isBlank(bytes[position - 1]) {
                while position < bytes.count, bytes[position] != UInt8(ascii: "\n") { position += 1 }
            } else if Self.isBlank(bytes[position]) {
                position += 1
            } else {
                return
            }
        }
    }

    private mutating func plain(inFlow: Bool) -> ArraySlice<UInt8> {
        let start = position
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\n") { break }
            if byte == UInt8(ascii: "#"), position > start, Self.isBlank(bytes[position - 1]) {
                // Keep the blank for the check below: a comment needs one before its `#`.
                position -= 1
                break
            }
            if inFlow {
                if [UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}")].contains(byte) { break }
                let next = position + 1 < bytes.count ? bytes[position + 1] : nil
                if byte == UInt8(ascii: ":"),
                    Self.isBreak(next) || next == UInt8(ascii: ",") || next == UInt8(ascii: "}")
                {
                    break
                }
            }
            position += 1
        }
        // The comment needs a blank before its `#`.
        while position > start, Self.isBlank(bytes[position - 1]) { position -= 1 }
        return bytes[start..<position]
    }

    private mutating func quoted() throws(YAMLError) -> String {
        let quote = bytes[position]
        position += 1
        var text: [UInt8] = []
        while position < bytes.count, bytes[position] != UInt8(ascii: "\n") {
            let byte = bytes[position]
            position += 1
            if byte == quote {
                // Two single quotes stand for one inside single quotes.
                guard quote == UInt8(ascii: "'"), position < bytes.count, bytes[position] == quote else {
                    return String(decoding: text, as: UTF8.self)
                }
                position += 1
                text.append(byte)
            } else if byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "\"") {
                text.append(contentsOf: try escape().utf8)
            } else {
                text.append(byte)
            }
        }
        throw error("quoted text must end on its line")
    }

    private mutating func escape() throws(YAMLError) -> String {
        guard position < bytes.count else { throw error("quoted text must end on its line") }
        let byte = bytes[position]
        position += 1
        switch byte {
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "0"): return "\0"
        case UInt8(ascii: "e"): return "\u{1B}"
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: " "):
            return String(decoding: [byte], as: UTF8.self)
        case UInt8(ascii: "x"): return try character(try hexadecimal(2))
        case UInt8(ascii: "U"): return try character(try hexadecimal(8))
        case UInt8(ascii: "u"):
            let unit = try hexadecimal(4)
            guard (0xD800..<0xDC00).contains(unit), bytes[position...].starts(with: "\\u".utf8) else {
                return try character(unit)
            }
            position += 2
            let low = try hexadecimal(4)
            guard (0xDC00..<0xE000).contains(low) else { throw error("incomplete surrogate pair") }
            return try character(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00))
        default: throw error("unknown escape sequence")
        }
    }

    private mutating func hexadecimal(_ count: Int) throws(YAMLError) -> UInt32 {
        let digits = bytes[position...].prefix(count)
        guard digits.count == count, digits.first != UInt8(ascii: "+"), digits.first != UInt8(ascii: "-"),
            let value = UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw error("expected \(count) hexadecimal digits") }
        position += count
        return value
    }

    private func character(_ code: UInt32) throws(YAMLError) -> String {
        guard let scalar = Unicode.Scalar(code) else { throw error("invalid Unicode code point") }
        return String(Character(scalar))
    }

    private func error(_ reason: String) -> YAMLError {
        let lines = bytes[..<min(position, bytes.count)].count { $0 == UInt8(ascii: "\n") }
        return YAMLError(line: line + lines, reason: reason)
    }
}
