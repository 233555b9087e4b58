import FoundationEssentials
import StructuredText
import TestSupport
import Testing

struct JSONTextTests {
    @Test func membersAreInTheOrderOfTheirNames() throws {
        let value = JSONValue.object([
            "b": .array([.null, .bool(true), .integer(-7), .number(0.5)]), "a": .string("a/\"b\"\n"), "c": .object([:]),
        ])
        #expect(try JSONText.encode(value) == #"{"a":"a/\"b\"\n","b":[null,true,-7,0.5],"c":{}}"#)
    }

    @Test func controlCharactersAreEscaped() throws {
        #expect(
            try JSONText.encode(["\u{1B}[2J\u{7F}\u{80}\u{9B}\u{9F}\u{A0}\u{2028}\u{2029}é"])
                == #"["\u001b[2J\u007f\u0080\u009b\u009f\#u{A0}\u2028\u2029é"]"#
        )
    }

    @Test func textIsReadBackAsItWas() throws {
        var random = SeededGenerator()
        for _ in 0..<500 {
            var text = String.UnicodeScalarView()
            for _ in 0..<Int.random(in: 0...20, using: &random) {
                let limit: UInt32 = Bool.random(using: &random) ? 0xA0 : 0x11_0000
                if let scalar = Unicode.Scalar(UInt32.random(in: 0..<limit, using: &random)) { text.append(scalar) }
            }
            let json = try JSONText.encode([String(text)])
            #expect(!json.unicodeScalars.contains { $0.properties.generalCategory == .control }, "seed \(random.seed)")
            let read = try JSONDecoder().decode([String].self, from: Data(json.utf8))
            #expect(read.map { Array($0.unicodeScalars) } == [Array(text)], "seed \(random.seed)")
        }
    }
}
