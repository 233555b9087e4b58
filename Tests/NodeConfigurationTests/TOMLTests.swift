import TestSupport
import Testing

@testable import NodeConfiguration

@Suite("TOML")
struct TOMLTests {
    /// The document on one line.
    private func read(_ text: String) throws -> String {
        TOMLText.inline(.table(try TOMLParser.parse(Array(text.utf8))))
    }

    @Test(
        "documents",
        arguments: [
            ("", "{ }"),
            ("# only a comment", "{ }"),
            ("a = 1 # x\r\n\r\nb = true", "{ a = 1, b = true }"),
            ("a.b.c = 1\na.d = 2", "{ a = { b = { c = 1 }, d = 2 } }"),
            ("[a]\nx = 1\n[a.b]\ny = 2\n[c]", "{ a = { x = 1, b = { y = 2 } }, c = { } }"),
            ("[a.b]\n[a]\nx = 1", "{ a = { b = { }, x = 1 } }"),
            ("[[a]]\nx = 1\n[a.b]\n[[a]]", "{ a = [{ x = 1, b = { } }, { }] }"),
            ("[ \"a b\" . 'c.d' ]\n\"\" = 1", "{ \"a b\" = { \"c.d\" = { \"\" = 1 } } }"),
            ("a = [ 1, # one\n [\"x\"], {b = 2},\n]", "{ a = [1, [\"x\"], { b = 2 }] }"),
            ("a = \"\\u00e9\\U0001F600\\t\\\\\"", "{ a = \"é😀\\t\\\\\" }"),
            ("a = 'C:\\n'", "{ a = \"C:\\\\n\" }"),
            ("a = \"\"\"\nx\\\n   y\"\"\"\"", "{ a = \"xy\\\"\" }"),
            ("a = \"\"\"x\ny\"\"\"\nb = '''\n'q'\n'''", "{ a = \"x\\ny\", b = \"'q'\\n\" }"),
            (
                "a = [+1_000, 0xDEAD_beef, 0o7, 0b1, -0.5, 6e-3, inf, -nan]",
                "{ a = [+1_000, 0xDEAD_beef, 0o7, 0b1, -0.5, 6e-3, inf, -nan] }"
            ),
            ("a = 1979-05-27 07:32:00.5Z\nb = 07:32:00", "{ a = 1979-05-27 07:32:00.5Z, b = 07:32:00 }"),
        ]
    )
    func documents(text: String, inline: String) throws {
        #expect(try read(text) == inline)
    }

    @Test(
        "errors name the line",
        arguments: [
            ("a", 1), ("a =", 1), ("a = 1 b = 2", 1), ("\n= 1", 2), ("[a", 1), ("[[a]", 1), ("[]", 1), ("[a]]", 1),
            ("a = 1\n\na = 2", 3), ("[a]\n[a]", 2), ("[a]\n[[a]]", 2), ("a = {}\n[a.b]", 2), ("a = {}\na.b = 1", 2),
            ("a = 1\n[a.b]", 2), ("[a.b]\n[a]\nb.c = 1", 3), ("a = [1 2]", 1), ("a = [\n1,\n", 3), ("a = {b = 1,}", 1),
            ("a = {\nb = 1}", 1), ("a = \"x", 1), ("a = \"x\ny\"", 1), ("a = \"\\x\"", 1), ("a = \"\\ud800\"", 1),
            ("a = \"\"\"\n\n", 3), ("a = 'x\u{1}'", 1), ("# \u{7f}", 1), ("a = 01", 1), ("a = 1__0", 1), ("a = 1.", 1),
            ("a = .5", 1), ("a = yes", 1), ("a = 1979-5-27", 1), ("a = 07:32", 1), ("a = 0x", 1), ("a\r= 1", 1),
        ] as [(String, Int)]
    )
    func faults(text: String, line: Int) {
        do {
            let inline = try read(text)
            Issue.record("parsed as \(inline)")
        } catch {
            #expect((error as? TOMLError)?.line == line, "\(error)")
        }
    }

    @Test("rejects deep nesting", arguments: ["[", "{a="])
    func deep(opening: String) {
        #expect(throws: TOMLError.self) { try read("a = " + String(repeating: opening, count: 300_000)) }
        #expect(throws: TOMLError.self) { try read(String(repeating: "a.", count: 300_000) + "a = 1") }
    }

    @Test("parses its own text", arguments: 0..<500)
    func roundTrip(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let text = String(
            String.UnicodeScalarView(
                (0..<Int.random(in: 0...20, using: &generator)).compactMap { _ in
                    Unicode.Scalar(
                        UInt32.random(in: 0...(Bool.random(using: &generator) ? 0x7F : 0x10FFFF), using: &generator)
                    )
                }
            )
        )
        let table = TOMLTable(origin: .header)
        table.set(text, to: .array([.string(text), .bool(true), .literal("1.5")]), line: 1)
        let written = "\(TOMLText.key(text)) = \(TOMLText.inline(table.value(text) ?? .bool(false)))"
        let again = try TOMLParser.parse(Array(written.utf8))
        guard case .array(let values)? = again.value(text), case .string(let string)? = values.first else {
            Issue.record("\(written)")
            return
        }
        #expect(Array(string.utf8) == Array(text.utf8))
        #expect(values.count == 3)
    }
}
