/// Why a session says that it goes away (hashicorp yamux spec.md, "Go Away").
public enum YamuxGoAwayReason: Equatable, Sendable {
    /// An orderly end.
    case normal
    /// The receiver of this broke the protocol.
    case protocolError
    /// The sender of this cannot go on.
    case internalError
    /// A code that the specification does not name.
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

/// What goes wrong in a yamux session.
public enum YamuxError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The remote side broke the protocol; the session is over.
    case protocolViolation(String)
    /// The remote side asked for more answers than it read; the session is over.
    case controlFlood(limit: Int)
    /// The remote side went on opening streams beyond the limit; the session is over.
    case streamFlood(limit: Int)
    /// Too many opened streams still wait for the remote side's acknowledgement.
    case tooManyUnacknowledgedStreams(limit: Int)
    /// One side said that it goes away, so that no stream can be opened.
    case goingAway
    /// All stream ids of this side have been used.
    case streamIDsExhausted
    /// No stream has this id, or it can no longer be written to.
    case streamNotWritable(UInt32)

    /// What was expected and what came, for people.
    public var description: String {
        switch self {
        case .protocolViolation(let reason): "yamux: protocol violation: \(reason)"
        case .controlFlood(let limit):
            "yamux: the peer asks for more answers than it reads: \(limit) wait"
        case .streamFlood(let limit):
            "yamux: the peer opened \(limit) streams in a row beyond the limit"
        case .tooManyUnacknowledgedStreams(let limit):
            "yamux: \(limit) opened streams still wait for the peer's acknowledgement"
        case .goingAway: "yamux: the session goes away, no stream can be opened"
        case .streamIDsExhausted: "yamux: all stream ids have been used, a new connection is needed"
        case .streamNotWritable(let id): "yamux: stream \(id) cannot be written to"
        }
    }
}
