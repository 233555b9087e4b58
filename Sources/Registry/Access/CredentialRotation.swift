import NIOCore

/// The credentials that hold while a secret changes from node to node: a value without a clock.
///
/// A new secret does not reach all nodes at the same moment. So a node that has it goes on to send the old one for
/// half as long as it accepts both: two nodes understand each other as long as one gets the new secret no more than
/// ``sending`` before the other.
struct CredentialRotation {
    /// How long the old credentials are accepted beside the new ones.
    static let accepting = TimeAmount.seconds(180)
    /// How long the old ones are still sent to other nodes. The kubelet looks for changed secrets once a minute.
    static let sending = TimeAmount.seconds(90)

    private(set) var current: Credentials
    private var previous: (credentials: Credentials, since: NIODeadline)?

    init(_ credentials: Credentials) {
        current = credentials
    }

    /// Other credentials are in force from now on.
    ///
    /// - Returns: whether they are others.
    mutating func change(to credentials: Credentials, now: NIODeadline) -> Bool {
        guard credentials != current else { return false }
        previous = (current, now)
        current = credentials
        return true
    }

    /// Whether a value of the `Authorization` header is accepted now.
    func accepts(_ header: String?, now: NIODeadline) -> Bool {
        guard let header else { return false }
        if current.match(header) { return true }
        guard let previous, now < previous.since + Self.accepting else { return false }
        return previous.credentials.match(header)
    }

    /// What is accepted of other nodes now.
    func accepted(now: NIODeadline) -> [Credentials] {
        guard let previous, now < previous.since + Self.accepting else { return [current] }
        return [current, previous.credentials]
    }

    /// What is sent to other nodes now.
    func sent(now: NIODeadline) -> Credentials {
        guard let previous, now < previous.since + Self.sending else { return current }
        return previous.credentials
    }
}
