/// Parses a pattern. RE2, "Syntax".
struct PatternParser {
    typealias ParseError = ReferencePattern.ParseError

    /// The maximum nesting of groups.
    private static let maximumDepth = 64
    /// RE2's maximum count of a repetition.
    private static let maximumCount = 1000

    private struct Flags {
        var foldsCase = false
        var dotTakesLineFeed = false
    }

    private let bytes: [UInt8]
    private var position = 0
    private var flags = Flags()

    private init(_ text: String) {
        bytes = Array(text.utf8)
    }

    static func parse(_ text: String) throws(ParseError) -> PatternNode {
        var parser = PatternParser(text)
        let node = try parser.alternatives(depth: 0)
        guard parser.peek == nil else { throw parser.malformed("unexpected )") }
        return node
    }

    // MARK: Structure

    private mutating func alternatives(depth: Int) throws(ParseError) -> PatternNode {
        guard depth <= Self.maximumDepth else { throw malformed("groups nested too deeply") }
        var nodes = [try sequence(depth: depth)]
        while take("|") { nodes.append(try sequence(depth: depth)) }
        return nodes.count == 1 ? nodes[0] : .alternatives(nodes)
    }

    private mutating func sequence(depth: Int) throws(ParseError) -> PatternNode {
        var nodes: [PatternNode] = []
        while let byte = peek, byte != UInt8(ascii: "|"), byte != UInt8(ascii: ")") {
            let start = position
            let items = try item(depth: depth)
            guard let last = items.last else {
                if isAtRepetition { throw malformed("nothing to repeat") }
                continue
            }
            nodes += items.dropLast()
            nodes.append(try repetitions(of: last, from: start))
        }
        return .sequence(nodes)
    }

    private var isAtRepetition: Bool {
        guard let byte = peek else { return false }
        return byte == UInt8(ascii: "*") || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "?")
    }

    private mutating func repetitions(of node: PatternNode, from start: Int) throws(ParseError) -> PatternNode {
        let count: (minimum: Int, maximum: Int?)
        if take("*") {
            count = (0, nil)
        } else if take("+") {
            count = (1, nil)
        } else if take("?") {
            count = (0, 1)
        } else if let counted = try countedRepetition() {
            count = counted
        } else {
            return node
        }
        // Greediness does not change whether the pattern matches.
        _ = take("?")
        let isCounted = peek == UInt8(ascii: "{") && (try? lookAheadCount()) != nil
        if isAtRepetition || isCounted { throw malformed("repetition of a repetition") }
        return .repeated(node, minimum: count.minimum, maximum: count.maximum)
    }

    private func lookAheadCount() throws(ParseError) -> Bool? {
        var copy = self
        return try copy.countedRepetition() == nil ? nil : true
    }

    /// `{2}`, `{2,}`, `{2,5}`. Braces around anything else are literal.
    private mutating func countedRepetition() throws(ParseError) -> (minimum: Int, maximum: Int?)? {
        let start = position
        guard take("{"), let minimum = number() else {
            position = start
            return nil
        }
        var maximum: Int? = minimum
        if take(",") { maximum = number() }
        guard take("}") else {
            position = start
            return nil
        }
        guard max(minimum, maximum ?? 0) <= Self.maximumCount, (maximum ?? minimum) >= minimum else {
            throw .malformed(
                "expected a repetition count from 0 to \(Self.maximumCount), the smaller number first",
                at: start
            )
        }
        return (minimum, maximum)
    }

    private mutating func number() -> Int? {
        var value: Int?
        while let byte = peek, byte.isDigit {
            // Saturates: such a number is above the limit anyway.
            value = min((value ?? 0) * 10 + Int(byte - UInt8(ascii: "0")), 1_000_000)
            position += 1
        }
        return value
    }

    // MARK: Items

    /// The next item: several nodes for a quoted text, none for flags.
    private mutating func item(depth: Int) throws(ParseError) -> [PatternNode] {
        if isAtRepetition { throw malformed("nothing to repeat") }
        if take("(") { return try group(depth: depth) }
        if take("[") { return [.bytes(folded(try byteClass()))] }
        if take(".") { return [.bytes(flags.dotTakesLineFeed ? ByteSet().inverted : ByteSet.lineFeed.inverted)] }
        if take("^") { return [.condition(.start)] }
        if take("$") { return [.condition(.end)] }
        if take("\\") { return try escape() }
        return [literal()]
    }

    /// One character; its bytes form one node.
    private mutating func literal() -> PatternNode {
        var nodes: [PatternNode] = []
        repeat {
            let byte = bytes[position]
            nodes.append(.bytes(folded(ByteSet(byte...byte))))
            position += 1
        } while position < bytes.count && bytes[position] & 0b1100_0000 == 0b1000_0000
        return nodes.count == 1 ? nodes[0] : .sequence(nodes)
    }

    private mutating func group(depth: Int) throws(ParseError) -> [PatternNode] {
        let start = position
        let outer = flags
        if take("?") {
            if peek == UInt8(ascii: "P") || peek == UInt8(ascii: "<") {
                _ = take("P")
                guard take("<"), skipGroupName() else { throw .malformed("unsupported kind of group", at: start) }
            } else {
                guard try takeFlags(from: start) else { return [] }
            }
        }
        let node = try alternatives(depth: depth + 1)
        guard take(")") else { throw .malformed("unclosed group, expected ')'", at: max(0, start - 1)) }
        flags = outer
        return [node]
    }

    private mutating func skipGroupName() -> Bool {
        let start = position
        while let byte = peek, ByteSet.word.contains(byte) { position += 1 }
        return position > start && take(">")
    }

    /// Parses flags as in `(?i)` and `(?i-s:…)`. Returns whether a group follows.
    private mutating func takeFlags(from start: Int) throws(ParseError) -> Bool {
        var isOn = true
        while let byte = peek {
            position += 1
            switch byte {
            case UInt8(ascii: "i"): flags.foldsCase = isOn
            case UInt8(ascii: "s"): flags.dotTakesLineFeed = isOn
            // A reference is one line, and greediness does not change the result.
            case UInt8(ascii: "m"), UInt8(ascii: "U"): continue
            case UInt8(ascii: "-"): isOn = false
            case UInt8(ascii: ":"): return true
            case UInt8(ascii: ")"): return false
            default: throw .malformed("unsupported kind of group", at: start)
            }
        }
        throw .malformed("unclosed group, expected ')'", at: max(0, start - 1))
    }

    private mutating func escape() throws(ParseError) -> [PatternNode] {
        guard let byte = peek else { throw malformed("trailing '\\'") }
        switch byte {
        case UInt8(ascii: "b"): return [.condition(advance(.wordBoundary))]
        case UInt8(ascii: "B"): return [.condition(advance(.noWordBoundary))]
        case UInt8(ascii: "A"): return [.condition(advance(.start))]
        case UInt8(ascii: "z"): return [.condition(advance(.end))]
        case UInt8(ascii: "Q"):
            position += 1
            var nodes: [PatternNode] = []
            while position < bytes.count {
                if bytes[position...].starts(with: Array("\\E".utf8)) {
                    position += 2
                    break
                }
                nodes.append(literal())
            }
            return nodes
        default: return [.bytes(folded(try escapedSet()))]
        }
    }

    private mutating func advance<Value>(_ value: Value) -> Value {
        position += 1
        return value
    }

    /// The set of bytes after a `\`: `\d`, `\x2f`, `\.`.
    private mutating func escapedSet() throws(ParseError) -> ByteSet {
        guard let byte = peek else { throw malformed("trailing '\\'") }
        position += 1
        switch byte {
        case UInt8(ascii: "d"): return .digits
        case UInt8(ascii: "D"): return ByteSet.digits.inverted
        case UInt8(ascii: "w"): return .word
        case UInt8(ascii: "W"): return ByteSet.word.inverted
        case UInt8(ascii: "s"): return .space
        case UInt8(ascii: "S"): return ByteSet.space.inverted
        case UInt8(ascii: "t"): return ByteSet(9...9)
        case UInt8(ascii: "n"): return ByteSet(10...10)
        case UInt8(ascii: "v"): return ByteSet(11...11)
        case UInt8(ascii: "f"): return ByteSet(12...12)
        case UInt8(ascii: "r"): return ByteSet(13...13)
        case UInt8(ascii: "x"):
            let value = try hexadecimal()
            return ByteSet(value...value)
        default:
            guard byte < 0x80, !ByteSet.letters.contains(byte), !byte.isDigit else {
                position -= 1
                throw malformed("unknown escape sequence")
            }
            return ByteSet(byte...byte)
        }
    }

    /// `2f` or `{2f}`, for ASCII.
    private mutating func hexadecimal() throws(ParseError) -> UInt8 {
        let isInBraces = take("{")
        let start = position
        while let byte = peek, position < start + 2, (byte | 0x20).isHexadecimalDigit { position += 1 }
        let digits = String(decoding: bytes[start..<position], as: UTF8.self)
        guard let value = UInt8(digits, radix: 16), value < 0x80, isInBraces || digits.utf8.count == 2,
            !isInBraces || take("}")
        else { throw .malformed("expected two hexadecimal digits up to 7f after '\\x'", at: start) }
        return value
    }

    // MARK: Classes

    private static let named: [String: ByteSet] = [
        "alnum": ByteSet.letters.union(.digits), "alpha": .letters, "ascii": ByteSet(0...127),
        "blank": ByteSet(9...9, 32...32), "cntrl": ByteSet(0...31, 127...127), "digit": .digits,
        "graph": ByteSet(33...126), "lower": .lowerCase, "print": ByteSet(32...126),
        "punct": ByteSet(33...47, 58...64, 91...96, 123...126), "space": ByteSet(9...13, 32...32),
        "upper": .upperCase, "word": .word, "xdigit": ByteSet(48...57, 65...70, 97...102),
    ]

    private mutating func byteClass() throws(ParseError) -> ByteSet {
        let start = position - 1
        let isNegated = take("^")
        var set = ByteSet()
        var isFirst = true
        while isFirst || peek != UInt8(ascii: "]") {
            guard peek != nil else { throw .malformed("unclosed class, expected ']'", at: start) }
            isFirst = false
            if let named = try namedClass() {
                set = set.union(named)
                continue
            }
            let place = position
            guard let lower = try classItem(into: &set) else { continue }
            guard peek == UInt8(ascii: "-"), position + 1 < bytes.count, bytes[position + 1] != UInt8(ascii: "]") else {
                set.insert(lower...lower)
                continue
            }
            position += 1
            var other = ByteSet()
            guard let upper = try classItem(into: &other), upper >= lower else {
                throw .malformed("range in reverse order", at: place)
            }
            set.insert(lower...upper)
        }
        position += 1
        let result = folded(set)
        return isNegated ? result.inverted : result
    }

    /// One byte of a class, or `nil` after adding a set such as `\d` to it.
    private mutating func classItem(into set: inout ByteSet) throws(ParseError) -> UInt8? {
        guard let byte = peek, byte < 0x80 else { throw malformed("expected an ASCII character in the class") }
        position += 1
        guard byte == UInt8(ascii: "\\") else { return byte }
        let escaped = try escapedSet()
        let members = (UInt8.min...UInt8.max).filter(escaped.contains)
        if members.count == 1 { return members[0] }
        set = set.union(escaped)
        return nil
    }

    /// `[:alpha:]` and `[:^alpha:]`.
    private mutating func namedClass() throws(ParseError) -> ByteSet? {
        guard bytes[position...].starts(with: Array("[:".utf8)) else { return nil }
        let start = position
        position += 2
        let isNegated = take("^")
        let nameStart = position
        while let byte = peek, ByteSet.lowerCase.contains(byte) { position += 1 }
        let name = String(decoding: bytes[nameStart..<position], as: UTF8.self)
        guard bytes[position...].starts(with: Array(":]".utf8)) else {
            position = start
            return nil
        }
        position += 2
        guard let set = Self.named[name] else { throw .malformed("unknown class", at: start) }
        return isNegated ? set.inverted : set
    }

    // MARK: Bytes

    private var peek: UInt8? {
        position < bytes.count ? bytes[position] : nil
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard let byte = peek, byte == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private func folded(_ set: ByteSet) -> ByteSet {
        flags.foldsCase ? set.caseFolded : set
    }

    private func malformed(_ reason: String) -> ParseError {
        .malformed(reason, at: position)
    }
}

extension UInt8 {
    /// Whether this is a digit or a letter from a to f.
    fileprivate var isHexadecimalDigit: Bool {
        isDigit || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(self)
    }
}
