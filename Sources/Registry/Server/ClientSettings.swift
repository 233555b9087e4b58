/// The limits of client connections.
public struct ClientSettings: Hashable, Sendable {
    /// The most client connections at a time; more wait in the system's queue until one closes.
    public var maximumConnections = 4096
    /// The connections among them that are reserved for health checks. While more are open than are not reserved, the
    /// oldest idle ones close; if none is idle, new connections get answers to health checks only.
    public var reservedConnections = 64
    /// How TCP finds out how fast it may send on the connections of clients: a name that the kernel knows, `cubic` or
    /// `reno`; `nil` for the system's choice, less its timers on the way to clients of the same node.
    public var congestionControl: String?
    /// The length of the system's queue of connections that wait to be accepted.
    public var backlog = 1024
    /// How long the head of a request may take from its first byte, and the first request on a connection.
    public var requestTimeout: Duration = .seconds(10)
    /// How long a connection may stay open between requests.
    public var idleTimeout: Duration = .seconds(60)
    /// How long a client may take nothing of a response before its connection is closed.
    public var stallTimeout: Duration = .seconds(60)
    /// How long transfers may go on after ``RegistryServer/shutdown()`` was called.
    public var shutdownGrace: Duration = .seconds(25)
}
