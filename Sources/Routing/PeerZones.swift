import Synchronization

/// The zones of other nodes, as they announce them: by identify when connected, and by their first response to a
/// request for content.
public final class PeerZones: Sendable {
    /// The maximum number of peers. At the limit the older half is dropped.
    public static let limit = 1024

    private struct Entry {
        var zone: Zone
        var lastUse: UInt64
    }

    private struct State {
        var entries: [String: Entry] = [:]
        var uses: UInt64 = 0

        mutating func set(_ zone: Zone?, of peerID: String) {
            guard let zone else {
                entries[peerID] = nil
                return
            }
            if entries[peerID] == nil, entries.count >= PeerZones.limit { forget() }
            entries[peerID] = Entry(zone: zone, lastUse: uses)
        }

        private mutating func forget() {
            let eldest = entries.sorted { $0.value.lastUse < $1.value.lastUse }.prefix(PeerZones.limit / 2)
            for (peerID, _) in eldest { entries[peerID] = nil }
        }
    }

    private let state = Mutex(State())

    /// Creates an empty table.
    public init() {}

    /// The number of peers.
    public var count: Int { state.withLock { $0.entries.count } }

    /// The zone of a peer; `nil` when it is unknown.
    public func zone(of peerID: String) -> Zone? {
        state.withLock { $0.entries[peerID]?.zone }
    }

    /// Records the zone that a peer has announced, or that it has none.
    public func note(_ zone: Zone?, of peerID: String) {
        state.withLock { state in
            state.uses &+= 1
            state.set(zone, of: peerID)
        }
    }

    /// Records a zone as text. A malformed zone counts as none. A repeated text is not parsed again.
    public func note(text: String?, of peerID: String) {
        state.withLock { state in
            state.uses &+= 1
            let known = state.entries[peerID]?.zone.text
            guard known != text else {
                state.entries[peerID]?.lastUse = state.uses
                return
            }
            state.set(text.flatMap { Zone($0) }, of: peerID)
        }
    }
}
