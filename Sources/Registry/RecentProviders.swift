import NIOCore
import Routing

/// The peers that gave ranges of some content a moment ago. Who reads content in many small ranges is so served by the
/// same peer, over the same connection, and without a lookup for each.
struct RecentProviders {
    /// How long a peer is asked so; then it is looked for anew, and perhaps another one is found.
    static let duration = TimeAmount.seconds(30)
    /// Of how many pieces of content the peer is remembered; the eldest gives way.
    static let limit = 1024

    private struct Entry {
        var provider: Provider
        var expires: NIODeadline
    }

    private var entries: [String: Entry] = [:]

    /// How many there are, those that have ended included until they are met.
    var count: Int { entries.count }

    /// The peer that gave a range of this content a moment ago.
    mutating func provider(of key: String, now: NIODeadline) -> Provider? {
        guard let entry = entries[key] else { return nil }
        guard entry.expires <= now else { return entry.provider }
        entries[key] = nil
        return nil
    }

    /// A peer has given a range. That it was asked without a lookup makes it no younger.
    mutating func note(_ provider: Provider, of key: String, now: NIODeadline) {
        if let known = entries[key], known.provider.peerID == provider.peerID, known.expires > now { return }
        if entries.count >= Self.limit, entries[key] == nil {
            entries = entries.filter { $0.value.expires > now }
            if entries.count >= Self.limit, let first = entries.min(by: { $0.value.expires < $1.value.expires }) {
                entries[first.key] = nil
            }
        }
        entries[key] = Entry(provider: provider, expires: now + Self.duration)
    }

    /// A peer has failed.
    mutating func forget(_ peerID: String, of key: String) {
        if entries[key]?.provider.peerID == peerID { entries[key] = nil }
    }
}
