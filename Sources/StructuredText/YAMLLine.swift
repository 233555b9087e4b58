/// A line of a YAML document.
struct YAMLLine {
    /// Counted from 1.
    let number: Int
    /// The whole line without its line break.
    let raw: ArraySlice<UInt8>
    /// The number of columns before the content.
    let indent: Int
    /// The content without its indentation.
    let text: ArraySlice<UInt8>

    private init(number: Int, raw: ArraySlice<UInt8>, indent: Int, text: ArraySlice<UInt8>) {
        self.number = number
        self.raw = raw
        self.indent = indent
        self.text = text
    }

    /// The lines of a text that holds one document.
    static func split(_ bytes: [UInt8]) throws(YAMLError) -> [YAMLLine] {
        guard String(validating: bytes, as: UTF8.self) != nil else { throw YAMLError(line: 1, reason: "not UTF-8") }
        let hasMark = bytes.starts(with: [0xEF, 0xBB, 0xBF])
        var lines: [YAMLLine] = []
        var hasContent = false
        let parts = bytes.dropFirst(hasMark ? 3 : 0).split(
            separator: UInt8(ascii: "\n"),
            omittingEmptySubsequences: false
        )
        for (index, part) in parts.enumerated() {
            let raw = part.last == UInt8(ascii: "\r") ? part.dropLast() : part
            let text = raw.drop { $0 == UInt8(ascii: " ") }
            let line = YAMLLine(number: index + 1, raw: raw, indent: raw.count - text.count, text: text)
            if line.indent == 0 {
                if line.isMarker("...") { break }
                if line.isMarker("---") {
                    guard !hasContent, raw.count == 3 || YAMLScanner.isEnd(raw.dropFirst(3)) else {
                        throw YAMLError(line: line.number, reason: "expected one document, found a second one")
                    }
                    continue
                }
                if text.first == UInt8(ascii: "%") {
                    throw YAMLError(line: line.number, reason: "directives are not supported")
                }
            }
            if !line.isBlank { hasContent = true }
            lines.append(line)
        }
        return lines
    }

    private func isMarker(_ marker: StaticString) -> Bool {
        raw.prefix(3).elementsEqual(marker.description.utf8) && (raw.count == 3 || raw.dropFirst(3).first == 0x20)
    }

    /// Whether the line is empty or a comment.
    var isBlank: Bool { text.isEmpty || text.first == UInt8(ascii: "#") }

    /// Whether a tab indents the line. A tab has no defined width.
    var hasTab: Bool { text.first == UInt8(ascii: "\t") }

    /// Whether a sequence item begins here.
    var isItem: Bool {
        text.first == UInt8(ascii: "-") && (text.count == 1 || text.dropFirst().first == UInt8(ascii: " "))
    }

    /// The line with its dash replaced by a space.
    var afterDash: YAMLLine {
        let rest = text.dropFirst().drop { $0 == UInt8(ascii: " ") }
        return YAMLLine(number: number, raw: raw, indent: indent + text.count - rest.count, text: rest)
    }
}
