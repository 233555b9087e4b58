/// A piece of HTML. It escapes all text and all values of attributes; the names are compiled in. There is no other way to
/// make one, so text from outside never becomes markup.
struct HTML: Hashable, Sendable {
    /// The markup.
    private(set) var text = ""

    /// An empty piece.
    init() {}

    /// A text, escaped.
    init(text: some StringProtocol) {
        Self.escape(text, into: &self.text)
    }

    /// An element with its content.
    ///
    /// - Parameter attributes: the values by name. An attribute whose value is `nil` is left out.
    init(
        _ name: StaticString,
        _ attributes: KeyValuePairs<StaticString, String?> = [:],
        @HTMLBuilder content: () -> HTML = { HTML() }
    ) {
        text = "<\(name)"
        for (attribute, value) in attributes {
            guard let value else { continue }
            text += " \(attribute)=\""
            Self.escape(value, into: &text)
            text += "\""
        }
        text += ">"
        guard !Self.isVoid(name) else { return }
        text += content().text
        text += "</\(name)>"
    }

    /// A whole page.
    static func document(_ root: HTML) -> String { "<!doctype html>\n" + root.text + "\n" }

    static func + (left: HTML, right: HTML) -> HTML {
        var sum = left
        sum.text += right.text
        return sum
    }

    /// Whether an element has no end tag (HTML, "Void elements").
    private static func isVoid(_ name: StaticString) -> Bool {
        switch "\(name)" {
        case "input", "link", "meta", "br": true
        default: false
        }
    }

    /// Escapes what could end a text or a quoted value. Control characters, which HTML does not allow, become U+FFFD.
    private static func escape(_ text: some StringProtocol, into result: inout String) {
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            case "\t", "\n": result.unicodeScalars.append(scalar)
            default:
                let isControl = scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
                // A change of direction could make one name look like another.
                let isDirection = (0x202A...0x202E).contains(scalar.value) || (0x2066...0x2069).contains(scalar.value)
                result.unicodeScalars.append(isControl || isDirection ? "\u{FFFD}" : scalar)
            }
        }
    }
}

/// A result builder that joins pieces of HTML and texts.
@resultBuilder
enum HTMLBuilder {
    static func buildExpression(_ piece: HTML) -> HTML { piece }
    static func buildExpression(_ pieces: [HTML]) -> HTML { pieces.reduce(HTML(), +) }
    static func buildExpression(_ text: String) -> HTML { HTML(text: text) }
    static func buildBlock(_ pieces: HTML...) -> HTML { pieces.reduce(HTML(), +) }
    static func buildOptional(_ piece: HTML?) -> HTML { piece ?? HTML() }
    static func buildEither(first piece: HTML) -> HTML { piece }
    static func buildEither(second piece: HTML) -> HTML { piece }
    static func buildArray(_ pieces: [HTML]) -> HTML { pieces.reduce(HTML(), +) }
}
