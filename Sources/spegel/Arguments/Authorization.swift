import Registry

/// The field `Authorization` for requests to a registry that demands credentials.
enum Authorization {
    /// Reads a folder with credentials; `nil` when the usual one is meant and is not there.
    ///
    /// - Parameter folder: the folder; the usual one when none is named.
    /// - Throws: `CredentialFolder.Failure`.
    static func field(folder name: String?) throws -> String? {
        let folder = CredentialFolder(name ?? CredentialFolder.standardPath)
        guard name != nil || folder.exists else { return nil }
        return try folder.read().credentials.header
    }
}
