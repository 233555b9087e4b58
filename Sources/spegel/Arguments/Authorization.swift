import Registry

/// The field `Authorization` for a registry that requires credentials.
enum Authorization {
    /// Reads a folder with credentials. `nil` if no folder is named and the standard one does not exist.
    ///
    /// - Parameter folder: the folder, or `nil` for the standard one.
    /// - Throws: `CredentialFolder.Failure`.
    static func field(folder name: String?) throws -> String? {
        let folder = CredentialFolder(name ?? CredentialFolder.standardPath)
        guard name != nil || folder.exists else { return nil }
        return try folder.read().credentials.header
    }
}
