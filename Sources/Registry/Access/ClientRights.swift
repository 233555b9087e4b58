/// What a client may ask for.
enum ClientRights: Hashable, Sendable {
    /// Everything.
    case all
    /// Only the node's health: the client says that it is a node, and has not proven it.
    case unproven
    /// Only the node's health: its proof has expired, or its clock is wrong.
    case expired
    /// Only the node's health: the client's address is not allowed.
    case wrongAddress
    /// Only the node's health: credentials are missing or wrong.
    case wrongCredentials
}
