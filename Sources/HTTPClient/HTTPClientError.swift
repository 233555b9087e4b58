import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// Why a request has no complete response. The first value of most cases is the server's address.
public enum HTTPClientError: Error, Hashable, Sendable, CustomStringConvertible {
    /// There is no TCP connection.
    case unreachable(String, reason: String)
    /// There is a TCP connection, but no TLS session.
    case insecure(String, reason: String)
    /// A certificate or key of the client cannot be used.
    case unusableCredentials(String)
    /// The response was not complete in time.
    case timedOut(String, after: Duration)
    /// No byte of the body arrived for this time.
    case stalled(String, after: Duration)
    /// The connection ended before the response did.
    case closed(String)
    /// The body is longer than the limit, in bytes.
    case tooLong(String, limit: Int)
    /// The response is not HTTP.
    case malformed(String)

    /// What went wrong, and with which server.
    public var description: String {
        switch self {
        case .unreachable(let peer, let reason): "cannot connect to \(peer): \(reason)"
        case .insecure(let peer, let reason): "no TLS session with \(peer): \(reason)"
        case .unusableCredentials(let reason): reason
        case .timedOut(let peer, let time): "no answer from \(peer) within \(time)"
        case .stalled(let peer, let time): "\(peer) sent nothing for \(time)"
        case .closed(let peer): "\(peer) closed the connection without a complete answer"
        case .tooLong(let peer, let limit): "the answer of \(peer) is longer than \(limit) bytes"
        case .malformed(let peer): "the answer of \(peer) is not HTTP"
        }
    }

    /// The meaning of an error on the connection with a server.
    static func wrap(_ error: any Error, peer: String) -> any Error {
        switch error {
        case is HTTPClientError, is CancellationError: error
        case let error as NIOSSLError: HTTPClientError.insecure(peer, reason: reason(of: error))
        case let error as NIOSSLExtraError: HTTPClientError.insecure(peer, reason: reason(of: error))
        case let error as NIOConnectionError: HTTPClientError.unreachable(peer, reason: reason(of: error))
        case ChannelError.connectTimeout: HTTPClientError.unreachable(peer, reason: "no answer")
        case is ChannelError: HTTPClientError.closed(peer)
        case HTTPParserError.invalidEOFState: HTTPClientError.closed(peer)
        case let error as IOError: HTTPClientError.unreachable(peer, reason: error.description)
        default: HTTPClientError.malformed(peer)
        }
    }

    private static func reason(of error: any Error) -> String {
        let text = "\(error)"
        if text.contains("CERTIFICATE_VERIFY_FAILED") {
            return "its certificate is not signed by the expected authority, or not valid now"
        }
        if text.contains("ailedToValidateHostname") || text.contains("ailed to validate hostname") {
            return "its certificate is for another name"
        }
        if text.contains("WRONG_VERSION_NUMBER") { return "it does not speak TLS" }
        if text.contains("uncleanShutdown") { return "the connection ended" }
        return String(text.prefix(200))
    }

    private static func reason(of error: NIOConnectionError) -> String {
        if let failure = error.connectionErrors.first?.error {
            if let failure = failure as? IOError, failure.errnoCode == ECONNREFUSED { return "connection refused" }
            if case ChannelError.connectTimeout = failure { return "no answer" }
            return String("\(failure)".prefix(200))
        }
        if error.dnsAError != nil || error.dnsAAAAError != nil { return "the name \(error.host) cannot be resolved" }
        return "it has no address"
    }
}
