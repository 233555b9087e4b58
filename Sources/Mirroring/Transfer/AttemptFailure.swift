/// Why an attempt at a peer failed.
package enum AttemptFailure: Hashable, Sendable, CustomStringConvertible {
    case cannotConnect(String)
    case connectTimeout
    case closed(String)
    case malformed(String)
    case headTimeout
    case progressTimeout
    case refused(PeerRefusal)
    case tooLong
    case corrupt
    case busy
    /// It sent far less than is usual, and another peer is known.
    case slow

    /// Whether the peer sent nothing for too long.
    package var isSilence: Bool {
        switch self {
        case .headTimeout, .progressTimeout: true
        default: false
        }
    }

    /// Whether a deadline passed; the peer may only be slow.
    package var isTimeout: Bool { isSilence || self == .connectTimeout }

    /// Whether no connection was made.
    package var isOfConnecting: Bool {
        switch self {
        case .cannotConnect, .connectTimeout: true
        default: false
        }
    }

    package var description: String {
        switch self {
        case .cannotConnect(let reason): "connect failed: \(reason)"
        case .connectTimeout: "connect timed out"
        case .closed(let reason): "connection closed: \(reason)"
        case .malformed(let reason): "malformed response: \(reason)"
        case .headTimeout: "peer timed out before its response head"
        case .progressTimeout: "peer timed out in the body"
        case .refused(let refusal): refusal.description
        case .tooLong: "body longer than announced"
        case .busy: "peer is busy"
        case .corrupt: "digest mismatch"
        case .slow: "peer too slow"
        }
    }
}

/// An attempt that failed, for logs and metrics.
package struct FailedAttempt: Hashable, Sendable {
    package var peerID: String
    package var address: PeerAddress
    package var failure: AttemptFailure

    package init(peerID: String, address: PeerAddress, failure: AttemptFailure) {
        self.peerID = peerID
        self.address = address
        self.failure = failure
    }

    /// The peer, at the address that was tried.
    package var peer: Peer { Peer(id: peerID, addresses: [address]) }
}
