import NIOCore

/// What a request says of the program that made it, and of what that program may and can read.
public struct RequestClient: Hashable, Sendable {
    /// The field `User-Agent`.
    public var userAgent: String?
    /// The field `Accept`.
    public var accept: String?
    /// The field `Authorization`.
    public var authorization: String?
    /// The address of the connection's other end.
    public var address: SocketAddress?

    /// Makes the fields.
    public init(
        userAgent: String? = nil,
        accept: String? = nil,
        authorization: String? = nil,
        address: SocketAddress? = nil
    ) {
        self.userAgent = userAgent
        self.accept = accept
        self.authorization = authorization
        self.address = address
    }
}
