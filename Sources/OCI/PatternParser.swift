/// Reads the text of a pattern. RE2, "Syntax".
struct PatternParser {
    typealias ParseError = ReferencePattern.ParseError

    /// The deepest that groups may lie in each other.
    private static let maximumDepth = 64
    /// RE2's limit for a counted repetition.
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
        guard depth <= Self.maximumDepth else { throw malformed("groups lie too deep in each other") }
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
        // How greedy it is makes no difference to whether there is a match.
        _ = take("?")
        let isCounted = peek == UInt8(ascii: "{") && (try? lookAheadCount()) != nil
        if isAtRepetition || isCounted { throw malformed("a repetition of a repetition") }
        return .repeated(node, minimum: count.minimum, maximum: count.maximum)
    }

    private func lookAheadCount() throws(ParseError) -> Bool? {
        var copy = self
        return try copy.countedRepetition() == nil ? nil : true
    }

    /// `{2}`, `{2,}`, `{2,5}`; braces around anything else stand for themselves.
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
                "a repetition must be within 0 and \(Self.maximumCount), the lesser number first",
                at: start
            )
        }
        return (minimum, maximum)
    }

    private mutating func number() -> Int? {
        var value: Int?
        while let byte = peek, byte.isDigit {
            // A number that is far too large stays so.
            value = min((value ?? 0) * 10 + Int(byte - UInt8(ascii: "0")), 1_000_000)
            position += 1
        }
        return value
    }

    // MARK: Items

    /// The next item: more than one node for a quoted text, none for flags.
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

    /// One character, whose bytes belong together.
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
                guard take("<"), skipGroupName() else { throw .malformed("this kind of group is not known", at: start) }
            } else {
                guard try takeFlags(from: start) else { return [] }
            }
        }
        let node = try alternatives(depth: depth + 1)
        guard take(")") else { throw .malformed("a group without its )", at: max(0, start - 1)) }
        flags = outer
        return [node]
    }

    private mutating func skipGroupName() -> Bool {
        let start = position
        while let byte = peek, ByteSet.word.contains(byte) { position += 1 }
        return position > start && take(">")
    }

    /// Flags as in `(?i)` and `(?i-s:…)`; whether a group follows.
    private mutating func takeFlags(from start: Int) throws(ParseError) -> Bool {
        var isOn = true
        while let byte = peek {
            position += 1
            switch byte {
            case UInt8(ascii: "i"): flags.foldsCase = isOn
            case UInt8(ascii: "s"): flags.dotTakesLineFeed = isOn
            // A reference is one line, and greed makes no difference.
            case UInt8(ascii: "m"), UInt8(ascii: "U"): continue
            case UInt8(ascii: "-"): isOn = false
            case UInt8(ascii: ":"): return true
            case UInt8(ascii: ")"): return false
            default: throw .malformed("this kind of group is not known", at: start)
            }
        }
        throw .malformed("a group without its )", at: max(0, start - 1))
    }

    private mutating func escape() throws(ParseError) -> [PatternNode] {
        guard let byte = peek else { throw malformed("a \\ at the end") }
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

    /// What follows a `\` where a set of bytes can stand: `\d`, `\x2f`, `\.`.
    private mutating func escapedSet() throws(ParseError) -> ByteSet {
        guard let byte = peek else { throw malformed("a \\ at the end") }
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
                throw malformed("an escape that is not known")
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
        else { throw .malformed("\\x takes two hexadecimal digits, at most 7f", at: start) }
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
            guard peek != nil else { throw .malformed("a class without its ]", at: start) }
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
                throw .malformed("a range that runs backwards", at: place)
            }
            set.insert(lower...upper)
        }
        position += 1
        let result = folded(set)
        return isNegated ? result.inverted : result
    }

    /// One byte of a class, or `nil` when a set such as `\d` has been put into it.
    private mutating func classItem(into set: inout ByteSet) throws(ParseError) -> UInt8? {
        guard let byte = peek, byte < 0x80 else { throw malformed("classes hold ASCII characters only") }
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
        guard let set = Self.named[name] else { throw .malformed("a class that is not known", at: start) }
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
    /// Whether this is a digit or a letter from a to f in lower case.
    fileprivate var isHexadecimalDigit: Bool {
        isDigit || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(self)
    }
}
