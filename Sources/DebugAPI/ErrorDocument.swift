/// The body of every response that is an error.
package struct ErrorDocument: Codable, Hashable, Sendable {
    /// What is wrong.
    package var error: String

    package init(_ error: String) {
        self.error = error
    }
}
