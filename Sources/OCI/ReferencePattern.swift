/// A regular expression to search for in image references.
///
/// The syntax is the part of RE2 (and Go's `regexp`) that ASCII names need: literals, classes, groups,
/// alternatives, repetition, `^ $ \A \z \b \B` and the flags `i`, `s`, `m`, `U`. A search takes time proportional to
/// the length of the text times that of the pattern, because it runs a set of states without backtracking.
public struct ReferencePattern: Hashable, Sendable, CustomStringConvertible {
    /// An error from parsing a pattern.
    public enum ParseError: Error, Hashable, CustomStringConvertible {
        /// A syntax error at a byte offset.
        case malformed(String, at: Int)
        /// The pattern is longer than ``ReferencePattern/maximumLength``.
        case tooLong
        /// The pattern repeats too much, so that a search would take too long.
        case tooLarge

        /// The error in words.
        public var description: String {
            switch self {
            case .malformed(let reason, let position): "\(reason) at byte \(position)"
            case .tooLong: "expected a pattern of at most \(ReferencePattern.maximumLength) bytes"
            case .tooLarge: "expected a pattern of at most \(PatternProgram.maximumSize) steps: use smaller repetitions"
            }
        }
    }

    /// The maximum length of a pattern in bytes.
    public static let maximumLength = 1024

    /// The source text.
    public let text: String
    private let program: PatternProgram

    /// Parses a pattern.
    public init(_ text: String) throws(ParseError) {
        guard text.utf8.count <= Self.maximumLength else { throw .tooLong }
        self.text = text
        program = try PatternProgram(PatternParser.parse(text))
    }

    /// Whether the pattern matches anywhere in a text.
    public func matches(_ text: some StringProtocol) -> Bool {
        program.matches(Array(text.utf8))
    }

    /// The source text.
    public var description: String { text }

    /// Compares the source texts.
    public static func == (left: ReferencePattern, right: ReferencePattern) -> Bool {
        left.text == right.text
    }

    /// Hashes the source text.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(text)
    }
}
