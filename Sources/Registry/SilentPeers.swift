import NIOCore

/// The peers that fell silent of late: that sent no answer, or nothing of a body, for as long as a peer may.
///
/// A client whose answer was cut short for it asks for the rest at once, and other requests for the same image follow;
/// none of them should wait as long again.
struct SilentPeers {
    /// How long it is remembered. A peer that hangs is found out by then by other means.
    static let duration = TimeAmount.seconds(10)
    /// How many are remembered at most; the one that is forgotten first gives way.
    static let limit = 256

    private var entries: [String: NIODeadline] = [:]
    /// When peers answered last; of no more than the limit, and all are forgotten when there is another.
    private var heard: [String: NIODeadline] = [:]

    /// How many there are, those whose time is over included until they are met.
    var count: Int { entries.count }

    /// Notes that a peer fell silent, unless it has answered somebody meanwhile: then it is only slow.
    ///
    /// - Parameter time: for how long it sent nothing.
    /// - Returns: whether it is taken to be silent.
    mutating func insert(_ peerID: String, for time: TimeAmount, now: NIODeadline) -> Bool {
        if hasAnswered(peerID, since: now - time) { return false }
        if entries.count >= Self.limit, entries[peerID] == nil {
            entries = entries.filter { $0.value > now }
            if entries.count >= Self.limit, let first = entries.min(by: { $0.value < $1.value }) {
                entries[first.key] = nil
            }
        }
        entries[peerID] = now + Self.duration
        return true
    }

    /// Whether a peer has answered anybody since.
    func hasAnswered(_ peerID: String, since moment: NIODeadline) -> Bool {
        heard[peerID].map { $0 > moment } ?? false
    }

    /// Notes that a peer answers.
    mutating func answered(_ peerID: String, now: NIODeadline) {
        if !entries.isEmpty { entries[peerID] = nil }
        if heard.updateValue(now, forKey: peerID) == nil, heard.count > Self.limit { heard = [peerID: now] }
    }

    /// Whether a peer fell silent of late.
    mutating func contains(_ peerID: String, now: NIODeadline) -> Bool {
        guard !entries.isEmpty, let end = entries[peerID] else { return false }
        guard end <= now else { return true }
        entries[peerID] = nil
        return false
    }
}
