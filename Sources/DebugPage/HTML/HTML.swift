/// A piece of HTML. Text and the values of attributes are escaped whatever they hold; names are known when the program
/// is compiled. There is no other way to make one, so nothing from outside becomes a tag.
struct HTML: Hashable, Sendable {
    /// The markup.
    private(set) var text = ""

    /// Nothing.
    init() {}

    /// A text, escaped.
    init(text: some StringProtocol) {
        Self.escape(text, into: &self.text)
    }

    /// An element with its content.
    ///
    /// - Parameter attributes: Their values; an attribute whose value is `nil` is left out.
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

    /// HTML, "Void elements": those that have no end tag.
    private static func isVoid(_ name: StaticString) -> Bool {
        switch "\(name)" {
        case "input", "link", "meta", "br": true
        default: false
        }
    }

    /// What could end a text or a quoted value. Control characters, which HTML does not allow, become U+FFFD.
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
                // What turns the direction of writing around could make a name look like another.
                let isDirection = (0x202A...0x202E).contains(scalar.value) || (0x2066...0x2069).contains(scalar.value)
                result.unicodeScalars.append(isControl || isDirection ? "\u{FFFD}" : scalar)
            }
        }
    }
}

/// Puts pieces of HTML and texts together.
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
