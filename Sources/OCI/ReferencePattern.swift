/// A regular expression that is searched for in image references.
///
/// The syntax is that of RE2 and so of Go's `regexp`, as far as it has a use for names, which are ASCII: literals,
/// classes, groups, alternatives, repetition, `^ $ \A \z \b \B` and the flags `i`, `s`, `m`, `U`. As there, a search
/// takes time in proportion to the length of the text times that of the pattern, whatever the pattern: it is run as a
/// set of states, without going back.
public struct ReferencePattern: Hashable, Sendable, CustomStringConvertible {
    /// Why a text is no pattern.
    public enum ParseError: Error, Hashable, CustomStringConvertible {
        /// Something is not as the syntax wants it; at which byte, from 0.
        case malformed(String, at: Int)
        /// The pattern is longer than a pattern may be.
        case tooLong
        /// The pattern repeats too much: searching for it would take too long.
        case tooLarge

        /// The error in words.
        public var description: String {
            switch self {
            case .malformed(let reason, let position): "\(reason) at byte \(position)"
            case .tooLong: "a pattern has at most \(ReferencePattern.maximumLength) bytes"
            case .tooLarge: "the pattern repeats too much: it comes to more than \(PatternProgram.maximumSize) steps"
            }
        }
    }

    /// The most bytes that a pattern may have.
    public static let maximumLength = 1024

    /// The pattern as it was written.
    public let text: String
    private let program: PatternProgram

    /// Parses a pattern.
    public init(_ text: String) throws(ParseError) {
        guard text.utf8.count <= Self.maximumLength else { throw .tooLong }
        self.text = text
        program = try PatternProgram(PatternParser.parse(text))
    }

    /// Whether the pattern is found anywhere in a text.
    public func matches(_ text: some StringProtocol) -> Bool {
        program.matches(Array(text.utf8))
    }

    /// The pattern as it was written.
    public var description: String { text }

    /// Patterns are equal when their texts are.
    public static func == (left: ReferencePattern, right: ReferencePattern) -> Bool {
        left.text == right.text
    }

    /// Hashes the text, which says all.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(text)
    }
}
