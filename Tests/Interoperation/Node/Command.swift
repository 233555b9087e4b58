/// What the tests ask of a node: the name of the command, and those of the parameters that it takes.
struct Command: Decodable {
    enum Name: String, Decodable {
        /// Dials `address`.
        case connect
        /// Ends all connections with `peer`.
        case disconnect
        /// What was agreed upon for the connections with `peer`.
        case connections
        /// The identification of `peer`.
        case identify
        /// Asks `peer` for an echo.
        case ping
        /// Sends `size` bytes to `peer`, and expects them back.
        case echo
        /// Tries to open a stream to `peer` with one of `protocols`.
        case openStream = "open-stream"
        /// Asks `peer` alone for the peers closest to the peer `target`.
        case findNode = "find-node"
        /// Asks `peer` alone for the providers of `content`.
        case getProviders = "get-providers"
        /// Has the DHT provide `content`, until `stop-providing`.
        case provide
        case stopProviding = "stop-providing"
        /// Looks in the DHT for at most `limit` providers of `content`.
        case findProviders = "find-providers"
        /// How many peers the routing table has, and how many records are held for others.
        case counts
        /// Ends the node.
        case quit
    }

    var name: Name
    /// The most seconds that the command may take.
    var timeout: Double
    var address: String?
    var peer: String?
    var target: String?
    var content: String?
    var protocols: [String]?
    var limit: Int?
    var size: Int?
}

/// Why a command was not carried out, told to the tests.
struct CommandError: Error, CustomStringConvertible {
    var description: String

    static func missing(_ parameter: String) -> CommandError {
        CommandError(description: "the command needs `\(parameter)`")
    }
}
