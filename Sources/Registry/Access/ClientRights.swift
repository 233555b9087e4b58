/// What a client may ask for.
enum ClientRights: Hashable, Sendable {
    /// Everything.
    case all
    /// Only the node's health: the client's address is not allowed.
    case wrongAddress
    /// Only the node's health: credentials are missing or wrong.
    case wrongCredentials
}
