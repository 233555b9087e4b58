import ArgumentParser

/// Whom the output is for.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    /// A person.
    case text
    /// A program.
    case json
}
