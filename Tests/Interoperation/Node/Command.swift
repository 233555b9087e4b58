/// A command of the tests, with its name and its parameters.
struct Command: Decodable {
    enum Name: String, Decodable {
        /// Dials `address`.
        case connect
        /// Closes all connections to `peer`.
        case disconnect
        /// Returns the connections to `peer` with the negotiated protocols.
        case connections
        /// Returns the identify message of `peer`.
        case identify
        /// Pings `peer`.
        case ping
        /// Sends `size` bytes to `peer`, and expects them back.
        case echo
        /// Tries to open a stream to `peer` with one of `protocols`.
        case openStream = "open-stream"
        /// Requests the peers closest to the peer `target` from `peer` only.
        case findNode = "find-node"
        /// Requests the providers of `content` from `peer` only.
        case getProviders = "get-providers"
        /// Provides `content` until `stop-providing`.
        case provide
        case stopProviding = "stop-providing"
        /// Looks up at most `limit` providers of `content`.
        case findProviders = "find-providers"
        /// Returns the number of peers in the routing table, and of records held for others.
        case counts
        /// Ends the node.
        case quit
    }

    var name: Name
    /// The deadline of the command in seconds.
    var timeout: Double
    var address: String?
    var peer: String?
    var target: String?
    var content: String?
    var protocols: [String]?
    var limit: Int?
    var size: Int?
}

/// The failure of a command, for the tests.
struct CommandError: Error, CustomStringConvertible {
    var description: String

    static func missing(_ parameter: String) -> CommandError {
        CommandError(description: "missing parameter `\(parameter)`")
    }
}
