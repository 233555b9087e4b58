import FoundationEssentials
import StructuredText
import TestSupport
import Testing

struct YAMLParserTests {
    func parse(_ text: String) throws -> JSONValue {
        try YAMLParser.parse(Array(text.utf8))
    }

    @Test func parsesBlocksAndScalars() throws {
        let value = try parse(
            """
            # a comment
            ---
            text: plain text with a # inside? no: 'x'
            url: http://host:1/#x
            bracket: a [b {c
            number: 42
            negative: -7
            fraction: 1.5
            yes: true
            nothing:
            tilde: ~
            'quoted key': "a\\tb\\u00e9\\ud83d\\ude00"
            single: 'it''s'
            list:
            - one
            - - nested
              - list
            -
              key: value
            - a: 1
              b: [1, {c: d}, "e"]   # flow
            literal: |
              two
                lines

            folded: >-
              one
              line
            empty: {}
            ...
            """
        )
        #expect(value["text"]?.text == "plain text with a")
        #expect(value["url"]?.text == "http://host:1/#x" && value["bracket"]?.text == "a [b {c")
        #expect(
            value["number"] == .integer(42) && value["negative"] == .integer(-7) && value["fraction"] == .number(1.5)
        )
        #expect(value["yes"] == .bool(true) && value["nothing"] == .null && value["tilde"] == .null)
        #expect(value["quoted key"]?.text == "a\tbé😀")
        #expect(value["single"]?.text == "it's")
        let list = try #require(value["list"]?.items)
        #expect(list[0] == .string("one") && list[1] == .array([.string("nested"), .string("list")]))
        #expect(list[2]["key"]?.text == "value" && list[3]["a"] == .integer(1))
        #expect(list[3]["b"]?.items?[1]["c"]?.text == "d")
        #expect(value["literal"]?.text == "two\n  lines\n")
        #expect(value["folded"]?.text == "one line")
        #expect(value["empty"] == .object([:]))
    }

    @Test(arguments: [
        ("a: &x 1", "anchors"), ("a: *x", "anchors"), ("a: !!str 1", "anchors"), ("a: 1\na: 2", "duplicate key"),
        ("{a: 1, a: 2}", "duplicate key"), ("a: 1\n   b: 2", "indentation"), ("a:\n\tb: 1", "tab"),
        ("a: \"b\nc\"", "end on its line"), ("a: [1, 2", "not closed"), ("a: [1 2]x", "unexpected text"),
        ("? a\n: b", "not supported"), ("a: 1\n---\nb: 2", "one document"), ("- a\nb: 1", "after the document"),
        ("%YAML 1.2", "directives"), ("a: \"\\q\"", "escape"), ("a: \"\\ud800\\u0041\"", "surrogate"),
    ])
    func namesUnsupportedSyntaxInTheError(_ text: String, _ word: String) throws {
        let error = try #require(throws: YAMLError.self) { try parse(text) }
        #expect(error.description.contains(word), "\(error)")
    }

    @Test func scansLongFlowCollectionOnce() throws {
        let lines = (0..<20_000).map { "  {\"a]\": \($0), it's: ['x}']}, # ]" }.joined(separator: "\n")
        let value = try parse("list: [\n\(lines)\n]\nnext: 1")
        #expect(value["list"]?.items?.count == 20_000)
        #expect(value["next"] == .integer(1))
    }

    @Test func parsesEmptyDocumentAsNull() throws {
        #expect(try parse("") == .null)
        #expect(try parse("# nothing\n\n---\n") == .null)
    }

    @Test func rejectsDeepNesting() {
        #expect(throws: YAMLError.self) { try parse(String(repeating: "[", count: 100_000)) }
        #expect(throws: YAMLError.self) { try parse(String(repeating: "- ", count: 100_000)) }
        let steps = (0..<1000).map { String(repeating: " ", count: $0) + "a:" }.joined(separator: "\n")
        #expect(throws: YAMLError.self) { try parse(steps) }
    }

    @Test func parsesEncodedJSONUnchanged() throws {
        var generator = SeededGenerator()
        for _ in 0..<300 {
            let value = random(depth: 4, &generator)
            let json = try JSONEncoder().encode(value)
            let read = try YAMLParser.parse(Array(json))
            #expect(read == value, "seed \(generator.seed): \(String(decoding: json, as: UTF8.self))")
        }
    }

    @Test func neverTrapsOnRandomText() {
        var generator = SeededGenerator()
        let pieces = [
            "a", ":", " ", "\n", "- ", "\"", "'", "[", "]", "{", "}", ",", "#", "|", ">", "\\", "\\u12", "-", "\t", "é",
            "1", "~", "---", "  ",
        ]
        for _ in 0..<3000 {
            let count = Int.random(in: 0...40, using: &generator)
            let text = (0..<count).map { _ in pieces.randomElement(using: &generator) ?? "" }.joined()
            _ = try? YAMLParser.parse(Array(text.utf8))
            _ = try? YAMLParser.parse(generator.bytes(count))
        }
    }

    private func random(depth: Int, _ generator: inout SeededGenerator) -> JSONValue {
        switch Int.random(in: 0..<(depth > 0 ? 7 : 5), using: &generator) {
        case 0: return .null
        case 1: return .bool(Bool.random(using: &generator))
        case 2: return .integer(Int64.random(in: .min ... .max, using: &generator))
        case 3: return .number(Double.random(in: -1...1, using: &generator) + 0.5)
        case 4:
            let alphabet = Array("ab:#\"'\\{}[],-\n\t\u{1}é😀 ")
            return .string(
                String(
                    (0..<Int.random(in: 0...8, using: &generator)).map { _ in
                        alphabet.randomElement(using: &generator) ?? " "
                    }
                )
            )
        case 5:
            return .array(
                (0..<Int.random(in: 0...4, using: &generator)).map { _ in random(depth: depth - 1, &generator) }
            )
        default:
            var members: [String: JSONValue] = [:]
            for index in 0..<Int.random(in: 0...4, using: &generator) {
                members["k\(index): {"] = random(depth: depth - 1, &generator)
            }
            return .object(members)
        }
    }
}
