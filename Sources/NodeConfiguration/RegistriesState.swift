/// What podman, CRI-O, skopeo and buildah read of this program's file, for the check of a node.
public struct RegistriesState: Hashable, Sendable {
    /// The prefixes of the file whose mirrors are asked.
    public var mirrored: [String]
    /// The prefixes of the file that a file with a later name replaces, or that are blocked.
    public var replaced: [String]
    /// The mirrors of the file, as URLs in order.
    public var mirrors: [String]
    /// Whether the file was edited.
    public var isEdited: Bool

    /// Creates a state.
    public init(mirrored: [String] = [], replaced: [String] = [], mirrors: [String] = [], isEdited: Bool = false) {
        self.mirrored = mirrored
        self.replaced = replaced
        self.mirrors = mirrors
        self.isEdited = isEdited
    }

    /// Reads a folder; `nil` if this program's file is not there.
    ///
    /// - Throws: ``NodeConfigurationError`` or `FileError` for a file that these programs cannot read either.
    public static func read(folder: String) throws -> RegistriesState? {
        let others = try RegistriesConfiguration.others(folder)
        guard let written = try RegistriesConfiguration.written(folder) else { return nil }
        var state = RegistriesState()
        state.isEdited = written.own.isEdited
        state.mirrors = written.own.mirrors
        let later = Set(others.after.entries.map(\.prefix))
        for entry in written.file.entries {
            if later.contains(entry.prefix) {
                state.replaced.append(entry.prefix)
            } else {
                state.mirrored.append(entry.prefix)
            }
        }
        return state
    }
}
