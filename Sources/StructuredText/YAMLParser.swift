/// Reads configuration files in YAML 1.2: one document of block and flow collections, plain, quoted and block
/// scalars, and comments. Reads all JSON, too.
///
/// Rejects anchors, aliases, tags, complex keys, and scalars that continue on the next line without `|` or `>`. The
/// error names the feature.
public struct YAMLParser {
    /// The maximum nesting of collections.
    static let maximumDepth = 64

    private var lines: [YAMLLine]
    private var position = 0
    private var depth = 0
    private let keepsNumbers: Bool

    /// Parses a document. An empty document is null.
    ///
    /// - Parameter keepsNumbers: whether plain numbers are texts as written, such as `1.10`. A leading zero is then an
    ///   error, because versions of YAML differ on its meaning.
    public static func parse(_ text: [UInt8], keepsNumbers: Bool = false) throws(YAMLError) -> JSONValue {
        var parser = YAMLParser(lines: try YAMLLine.split(text), keepsNumbers: keepsNumbers)
        guard try parser.peek() != nil else { return .null }
        let value = try parser.block(indentedBy: 0)
        if let line = try parser.peek() {
            throw YAMLError(line: line.number, reason: "unexpected text after the document")
        }
        return value
    }

    private init(lines: [YAMLLine], keepsNumbers: Bool) {
        self.lines = lines
        self.keepsNumbers = keepsNumbers
    }

    /// The next line that is neither blank nor a comment, without taking it.
    private mutating func peek() throws(YAMLError) -> YAMLLine? {
        while position < lines.count {
            let line = lines[position]
            if !line.isBlank {
                if line.hasTab {
                    throw YAMLError(line: line.number, reason: "expected spaces for indentation, found a tab")
                }
                return line
            }
            position += 1
        }
        return nil
    }

    /// Parses the block that begins on the next line, which is indented by at least `least` columns.
    private mutating func block(indentedBy least: Int) throws(YAMLError) -> JSONValue {
        guard let line = try peek(), line.indent >= least else { return .null }
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.maximumDepth else { throw YAMLError(line: line.number, reason: "nested too deeply") }
        if line.isItem { return try sequence(at: line.indent) }
        if try YAMLScanner.key(in: line) != nil { return try mapping(at: line.indent) }
        return try inline(line.text, of: line, parent: least - 1)
    }

    private mutating func sequence(at indent: Int) throws(YAMLError) -> JSONValue {
        var items: [JSONValue] = []
        while let line = try peek(), line.indent == indent, line.isItem {
            let rest = line.afterDash
            if rest.isBlank {
                position += 1
                items.append(try block(indentedBy: indent + 1))
                continue
            }
            let isBlock = try rest.isItem ? true : YAMLScanner.key(in: rest) != nil
            if isBlock {
                // The text after the dash is a block of its own, indented by its distance from the left.
                lines[position] = rest
                items.append(try block(indentedBy: indent + 1))
            } else {
                items.append(try inline(rest.text, of: line, parent: indent))
            }
        }
        try expectEnd(of: indent)
        return .array(items)
    }

    private mutating func mapping(at indent: Int) throws(YAMLError) -> JSONValue {
        var members: [String: JSONValue] = [:]
        while let line = try peek(), line.indent == indent, !line.isItem {
            guard let (key, rest) = try YAMLScanner.key(in: line) else {
                throw YAMLError(line: line.number, reason: "expected 'key: value'")
            }
            guard members[key] == nil else {
                throw YAMLError(line: line.number, reason: "duplicate key '\(key.prefix(64))'")
            }
            members[key] = try value(rest, of: line, indent: indent)
        }
        try expectEnd(of: indent)
        return .object(members)
    }

    private mutating func value(_ rest: ArraySlice<UInt8>, of line: YAMLLine, indent: Int) throws(YAMLError)
        -> JSONValue
    {
        guard YAMLScanner.isEnd(rest) else { return try inline(rest, of: line, parent: indent) }
        position += 1
        guard let next = try peek() else { return .null }
        if next.indent > indent { return try block(indentedBy: indent + 1) }
        // A sequence may have the same indentation as its key.
        return next.indent == indent && next.isItem ? try sequence(at: indent) : .null
    }

    private mutating func expectEnd(of indent: Int) throws(YAMLError) {
        if let line = try peek(), line.indent > indent {
            throw YAMLError(line: line.number, reason: "unexpected indentation")
        }
    }

    /// Parses a scalar or a flow collection that begins on this line.
    private mutating func inline(_ text: ArraySlice<UInt8>, of line: YAMLLine, parent: Int) throws(YAMLError)
        -> JSONValue
    {
        position += 1
        let start = text.drop { $0 == UInt8(ascii: " ") }
        if let first = start.first, first == UInt8(ascii: "|") || first == UInt8(ascii: ">") {
            return .string(try blockScalar(header: start, of: line, parent: parent))
        }
        var scanner = YAMLScanner(start, line: line.number, keepsNumbers: keepsNumbers)
        // Takes all lines that surely belong to the collection at once. Otherwise the scanner would repeat them.
        let isFlow = start.first == UInt8(ascii: "[") || start.first == UInt8(ascii: "{")
        var open = isFlow ? YAMLScanner.openBrackets(in: start) : 0
        while open > 0, position < lines.count {
            scanner.append(lines[position].raw)
            open += YAMLScanner.openBrackets(in: lines[position].raw)
            position += 1
        }
        while true {
            if let value = try scanner.value() { return value }
            // A flow collection continues on the next line.
            guard position < lines.count else { throw YAMLError(line: line.number, reason: "bracket not closed") }
            scanner.append(lines[position].raw)
            position += 1
        }
    }

    private mutating func blockScalar(
        header: ArraySlice<UInt8>,
        of line: YAMLLine,
        parent: Int
    ) throws(YAMLError) -> String {
        let isLiteral = header.first == UInt8(ascii: "|")
        var chomping: UInt8?
        var indent: Int?
        for byte in header.dropFirst().prefix(while: { $0 != UInt8(ascii: " ") }) {
            switch byte {
            case UInt8(ascii: "-"), UInt8(ascii: "+"): chomping = byte
            case UInt8(ascii: "1")...UInt8(ascii: "9"): indent = max(parent, 0) + Int(byte - UInt8(ascii: "0"))
            default: throw YAMLError(line: line.number, reason: "unknown block scalar header")
            }
        }
        var content: [ArraySlice<UInt8>] = []
        while position < lines.count {
            let next = lines[position]
            if next.raw.allSatisfy({ $0 == UInt8(ascii: " ") }) {
                content.append([])
            } else {
                let width = indent ?? next.indent
                guard next.indent >= width, width > parent else { break }
                indent = width
                content.append(next.raw.dropFirst(width))
            }
            position += 1
        }
        return YAMLScanner.join(content, isLiteral: isLiteral, chomping: chomping)
    }
}
