/// Parses the structure of TOML 1.0: tables, keys and strings fully, numbers and times as text.
///
/// Entries keep their order and lines, since containerd asks hosts in file order.
struct TOMLParser {
    /// The maximum nesting of arrays and inline tables.
    static let maximumDepth = 64

    var bytes: ArraySlice<UInt8>
    var line = 1

    private init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
    }

    /// Parses a document. A byte order mark before it counts as nothing.
    static func parse(_ content: [UInt8]) throws(TOMLError) -> TOMLTable {
        let content = content.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(content.dropFirst(3)) : content
        for (number, line) in content.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .enumerated()
        where String(validating: line, as: UTF8.self) == nil {
            throw TOMLError(line: number + 1, reason: "expected UTF-8 text")
        }
        var parser = TOMLParser(content[...])
        return try parser.document()
    }

    private mutating func document() throws(TOMLError) -> TOMLTable {
        let root = TOMLTable(origin: .header)
        var current = root
        while true {
            skipSpace()
            if try skipLineEnd() {
                if bytes.isEmpty { return root }
                continue
            }
            if take("[[") {
                let path = try keyPath()
                guard take("]]") else { throw expected("]] after the name of a table") }
                current = try addTable(path, to: root)
            } else if take("[") {
                let path = try keyPath()
                guard take("]") else { throw expected("] after the name of a table") }
                current = try openTable(path, in: root)
            } else {
                try keyValue(in: current, depth: 0)
            }
            skipSpace()
            guard try skipLineEnd() else { throw expected("the end of the line") }
            if bytes.isEmpty { return root }
        }
    }

    // MARK: Tables

    private func openTable(_ path: [String], in root: TOMLTable) throws(TOMLError) -> TOMLTable {
        let (parent, key) = try parentOfTable(path, in: root)
        switch parent.value(key) {
        case nil:
            let table = TOMLTable(origin: .header)
            parent.set(key, to: .table(table), line: line)
            return table
        case .table(let table) where table.origin == .path:
            table.origin = .header
            return table
        default:
            throw TOMLError(line: line, reason: "duplicate key '\(key)'")
        }
    }

    private func addTable(_ path: [String], to root: TOMLTable) throws(TOMLError) -> TOMLTable {
        let (parent, key) = try parentOfTable(path, in: root)
        let table = TOMLTable(origin: .header)
        switch parent.value(key) {
        case nil: parent.set(key, to: .tables([table]), line: line)
        case .tables(let tables): parent.set(key, to: .tables(tables + [table]), line: line)
        default: throw TOMLError(line: line, reason: "duplicate key '\(key)'")
        }
        return table
    }

    private func parentOfTable(_ path: [String], in root: TOMLTable) throws(TOMLError) -> (TOMLTable, String) {
        var table = root
        for key in path.dropLast() {
            switch table.value(key) {
            case nil:
                let next = TOMLTable(origin: .path)
                table.set(key, to: .table(next), line: line)
                table = next
            case .table(let next) where next.origin != .inline:
                table = next
            case .tables(let tables):
                guard let last = tables.last else {
                    throw TOMLError(line: line, reason: "expected a table in '\(key)'")
                }
                table = last
            default:
                throw TOMLError(line: line, reason: "cannot extend '\(key)', expected a table")
            }
        }
        guard let key = path.last else { throw TOMLError(line: line, reason: "expected the name of a table") }
        return (table, key)
    }

    private mutating func keyValue(in table: TOMLTable, depth: Int) throws(TOMLError) {
        let start = line
        let path = try keyPath()
        guard take("=") else { throw expected("= after a key") }
        var table = table
        for key in path.dropLast() {
            switch table.value(key) {
            case nil:
                let next = TOMLTable(origin: .dottedKey)
                table.set(key, to: .table(next), line: start)
                table = next
            case .table(let next) where next.origin == .dottedKey:
                table = next
            default:
                throw TOMLError(line: start, reason: "cannot extend '\(key)', expected a table")
            }
        }
        guard let key = path.last else { throw expected("a key") }
        guard table.value(key) == nil else { throw TOMLError(line: start, reason: "duplicate key '\(key)'") }
        skipSpace()
        table.set(key, to: try value(depth: depth), line: start)
    }

    // MARK: Keys and values

    /// A dotted key with its surrounding blanks.
    private mutating func keyPath() throws(TOMLError) -> [String] {
        var path: [String] = []
        repeat {
            guard path.count < Self.maximumDepth else { throw expected("at most \(Self.maximumDepth) names in a key") }
            skipSpace()
            if take("\"") {
                path.append(try basicString())
            } else if take("'") {
                path.append(try literalString())
            } else {
                let name = bytes.prefix(while: Self.isBareKey)
                guard !name.isEmpty else { throw expected("a key") }
                bytes = bytes.dropFirst(name.count)
                path.append(String(decoding: name, as: UTF8.self))
            }
            skipSpace()
        } while take(".")
        return path
    }

    private mutating func value(depth: Int) throws(TOMLError) -> TOMLValue {
        guard depth < Self.maximumDepth else { throw expected("at most \(Self.maximumDepth) values within each other") }
        if take("\"\"\"") { return .string(try multilineBasicString()) }
        if take("'''") { return .string(try multilineLiteralString()) }
        if take("\"") { return .string(try basicString()) }
        if take("'") { return .string(try literalString()) }
        if take("[") { return .array(try array(depth: depth)) }
        if take("{") { return .table(try inlineTable(depth: depth)) }
        return try scalar()
    }

    private mutating func array(depth: Int) throws(TOMLError) -> [TOMLValue] {
        var values: [TOMLValue] = []
        while true {
            try skipBlankLines()
            if take("]") { return values }
            values.append(try value(depth: depth + 1))
            try skipBlankLines()
            if take("]") { return values }
            guard take(",") else { throw expected(", or ] in an array") }
        }
    }

    private mutating func inlineTable(depth: Int) throws(TOMLError) -> TOMLTable {
        let table = TOMLTable(origin: .header)
        defer { table.origin = .inline }
        skipSpace()
        if take("}") { return table }
        while true {
            try keyValue(in: table, depth: depth + 1)
            skipSpace()
            if take("}") { return table }
            guard take(",") else { throw expected(", or } in a table") }
        }
    }

    private mutating func scalar() throws(TOMLError) -> TOMLValue {
        var token = bytes.prefix(while: Self.isScalar)
        // A blank may separate a date and a time.
        let rest = bytes.dropFirst(token.count)
        if token.count == 10, rest.first == UInt8(ascii: " "), rest.dropFirst().first.map(Self.isDigit) == true {
            token = bytes.prefix(token.count + 1 + rest.dropFirst().prefix(while: Self.isScalar).count)
        }
        let text = String(decoding: token, as: UTF8.self)
        let value: TOMLValue
        switch text {
        case "true": value = .bool(true)
        case "false": value = .bool(false)
        case _ where TOMLLiteral.isNumber(text) || TOMLLiteral.isDateOrTime(text): value = .literal(text)
        default: throw expected("a value")
        }
        bytes = bytes.dropFirst(token.count)
        return value
    }

    // MARK: Blanks

    mutating func take(_ text: StaticString) -> Bool {
        let wanted = UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        guard bytes.starts(with: wanted) else { return false }
        bytes = bytes.dropFirst(wanted.count)
        return true
    }

    func expected(_ what: String) -> TOMLError {
        TOMLError(line: line, reason: "expected \(what)")
    }

    private mutating func skipSpace() {
        bytes = bytes.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
    }

    /// Skips a comment and the line break. Returns whether there was one; the end of the text counts as one.
    private mutating func skipLineEnd() throws(TOMLError) -> Bool {
        if bytes.first == UInt8(ascii: "#") {
            bytes = bytes.drop { $0 != UInt8(ascii: "\n") && ($0 >= 0x20 && $0 != 0x7F || $0 == UInt8(ascii: "\t")) }
            guard bytes.isEmpty || take("\n") || take("\r\n") else {
                throw expected("no control characters in a comment")
            }
            line += 1
            return true
        }
        if bytes.isEmpty { return true }
        guard take("\n") || take("\r\n") else { return false }
        line += 1
        return true
    }

    private mutating func skipBlankLines() throws(TOMLError) {
        repeat {
            skipSpace()
            if bytes.isEmpty { throw expected("] at the end of an array") }
        } while try skipLineEnd()
    }

    private static func isBareKey(_ byte: UInt8) -> Bool {
        TOMLText.isBareKeyByte(byte)
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private static func isScalar(_ byte: UInt8) -> Bool {
        isBareKey(byte) || byte == UInt8(ascii: "+") || byte == UInt8(ascii: ".") || byte == UInt8(ascii: ":")
    }
}
