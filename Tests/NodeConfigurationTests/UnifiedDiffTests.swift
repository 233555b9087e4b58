import TestSupport
import Testing

@testable import NodeConfiguration

@Suite("UnifiedDiff")
struct UnifiedDiffTests {
    private func diff(_ old: String?, _ new: String?) -> String {
        UnifiedDiff(old.map { Array($0.utf8) }, new.map { Array($0.utf8) }, name: "f").text(isColoured: false)
    }

    @Test("equal texts have no difference")
    func equal() {
        #expect(diff("a\nb\n", "a\nb\n").isEmpty)
        #expect(diff("", "").isEmpty)
        #expect(diff(nil, nil).isEmpty)
    }

    @Test("change has three context lines on each side")
    func change() {
        let old = (1...20).map { "\($0)\n" }.joined()
        let new = old.replacing("\n5\n", with: "\nfive\n").replacing("\n19\n", with: "\n19\nmore\n")
        #expect(
            diff(old, new) == """
                --- a/f
                +++ b/f
                @@ -2,7 +2,7 @@
                 2
                 3
                 4
                -5
                +five
                 6
                 7
                 8
                @@ -17,4 +17,5 @@
                 17
                 18
                 19
                +more
                 20

                """
        )
    }

    @Test("new file, removed file, and file without a final line break")
    func files() {
        #expect(diff(nil, "a\n") == "--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+a\n")
        #expect(diff("a\nb\n", nil) == "--- a/f\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-a\n-b\n")
        #expect(diff(nil, "") == "--- /dev/null\n+++ b/f\n")
        #expect(
            diff("a", "a\n") == "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n"
        )
    }

    @Test("terminal output has colours and no control characters; secrets are hidden")
    func terminal() {
        let old = Array("x = 1\nAuthorization = \"Basic abc\"\n".utf8)
        let new = Array("x = \"\u{1B}[2J\"\nAuthorization = \"Basic def\"\n".utf8)
        let difference = UnifiedDiff(old, new, name: "f")
        let coloured = difference.text(isColoured: true)
        #expect(coloured.contains("\u{1B}[32m+x = \"?[2J\"\u{1B}[0m\n"))
        #expect(coloured.contains("\u{1B}[31m-x = 1\u{1B}[0m\n"))
        for text in [coloured, difference.text(isColoured: false)] {
            #expect(!text.contains("abc") && !text.contains("def"))
            #expect(text.contains("-Authorization = \"(secret)\"") && text.contains("+Authorization = \"(secret)\""))
        }
    }

    @Test(
        "hides values of secret keys in each form",
        arguments: [
            ("  \"X-Api-Key\" = ['k']", "  \"X-Api-Key\" = \"(secret)\""),
            ("header = { authorization = \"Basic x\" }", "header = { authorization = \"(secret)\""),
            ("[host.\"https://token.lab\"]", "[host.\"https://token.lab\"]"), ("ca = \"x\"", "ca = \"x\""),
        ]
    )
    func secrets(_ line: String, _ shown: String) {
        #expect(SecretLine.hidden(line) == shown)
    }

    /// Applies the lines by the plain meaning of the format; this must result in the new text.
    @Test("diff transforms the old text to the new one", arguments: [UInt64.random(in: 0...UInt64.max)])
    func random(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<500 {
            let texts = (0..<2).map { _ in
                (0..<Int.random(in: 0...30, using: &generator))
                    .map { _ in ["a", "b", "c", "", "d\r"].randomElement(using: &generator) ?? "" }
                    .joined(separator: "\n")
            }
            let difference = UnifiedDiff(Array(texts[0].utf8), Array(texts[1].utf8), name: "f")
            #expect(try apply(difference, to: texts[0]) == texts[1], "seed \(seed)")
        }
    }

    private struct Mismatch: Error {}

    private func apply(_ difference: UnifiedDiff, to old: String) throws -> String {
        var rest = split(old)[...]
        var taken = 0
        var result: [String] = []
        for (position, line) in difference.lines.enumerated() {
            let isUnended = position + 1 < difference.lines.count && difference.lines[position + 1] == .unended
            switch line {
            case .file, .unended: break
            case .hunk(let text):
                let numbers = text.split { !$0.isNumber && $0 != "," }.map {
                    $0.split(separator: ",").map { Int($0) ?? 0 }
                }
                let start = numbers[0][0] - (numbers[0].count > 1 && numbers[0][1] == 0 ? 0 : 1)
                result += rest.prefix(start - taken)
                rest = rest.dropFirst(start - taken)
                taken = start
            case .common(let text), .removed(let text):
                guard rest.first == text + (isUnended ? "" : "\n") else { throw Mismatch() }
                if case .common = line { result.append(text + (isUnended ? "" : "\n")) }
                rest = rest.dropFirst()
                taken += 1
            case .added(let text): result.append(text + (isUnended ? "" : "\n"))
            }
        }
        return (result + rest).joined()
    }

    private func split(_ text: String) -> [String] {
        var lines: [String] = []
        var line: [UInt8] = []
        for byte in text.utf8 {
            line.append(byte)
            if byte == UInt8(ascii: "\n") {
                lines.append(String(decoding: line, as: UTF8.self))
                line = []
            }
        }
        return line.isEmpty ? lines : lines + [String(decoding: line, as: UTF8.self)]
    }
}
