/// Why a text is no YAML that is read here.
public struct YAMLError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The line, counted from 1.
    public let line: Int
    /// What is wrong with it.
    public let reason: String

    /// The line and the reason.
    public var description: String { "line \(line): \(reason)" }
}
