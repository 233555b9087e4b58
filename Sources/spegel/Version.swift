/// The version of this program.
enum Version {
    /// The release, as in CHANGELOG.md.
    static let text = "0.1.0"
}
