/// An error from parsing YAML.
public struct YAMLError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The line, counted from 1.
    public let line: Int
    /// What is wrong in the line.
    public let reason: String

    /// The line and the reason.
    public var description: String { "line \(line): \(reason)" }
}
