/// The reason in a go-away frame (hashicorp yamux spec.md, "Go Away").
public enum YamuxGoAwayReason: Equatable, Sendable {
    /// An orderly end.
    case normal
    /// The remote side broke the protocol.
    case protocolError
    /// The sender has an internal error.
    case internalError
    /// A code outside the specification.
    case unknown(UInt32)

    init(code: UInt32) {
        switch code {
        case 0: self = .normal
        case 1: self = .protocolError
        case 2: self = .internalError
        default: self = .unknown(code)
        }
    }

    var code: UInt32 {
        switch self {
        case .normal: 0
        case .protocolError: 1
        case .internalError: 2
        case .unknown(let code): code
        }
    }
}

/// An error of a yamux session.
public enum YamuxError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The remote side broke the protocol. The session has ended.
    case protocolViolation(String)
    /// The remote side requested more answers than it read. The session has ended.
    case controlFlood(limit: Int)
    /// The remote side kept opening streams above the limit. The session has ended.
    case streamFlood(limit: Int)
    /// Too many opened streams are unacknowledged.
    case tooManyUnacknowledgedStreams(limit: Int)
    /// One side sent a go-away, so that no stream can be opened.
    case goingAway
    /// All stream ids of this side are used.
    case streamIDsExhausted
    /// The stream does not exist, or is no longer writable.
    case streamNotWritable(UInt32)

    /// What was expected and what was found.
    public var description: String {
        switch self {
        case .protocolViolation(let reason): "yamux: protocol violation: \(reason)"
        case .controlFlood(let limit):
            "yamux: control flood: \(limit) unread answers"
        case .streamFlood(let limit):
            "yamux: stream flood: \(limit) streams in a row above the limit"
        case .tooManyUnacknowledgedStreams(let limit):
            "yamux: \(limit) opened streams unacknowledged by the peer"
        case .goingAway: "yamux: session is going away, cannot open a stream"
        case .streamIDsExhausted: "yamux: stream ids exhausted: open a new connection"
        case .streamNotWritable(let id): "yamux: stream \(id) not writable"
        }
    }
}
