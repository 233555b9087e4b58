import Synchronization

/// In which zones other nodes are, by their own word. Those that are connected tell it by identify, all by their first
/// answer to a request for content.
public final class PeerZones: Sendable {
    /// The most peers that are remembered; the half that was heard of longest ago gives way.
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

    /// Makes one that knows nobody.
    public init() {}

    /// How many peers are remembered.
    public var count: Int { state.withLock { $0.entries.count } }

    /// The zone of a peer; `nil` when it is not known.
    public func zone(of peerID: String) -> Zone? {
        state.withLock { $0.entries[peerID]?.zone }
    }

    /// A peer has told its zone, or that it knows of none.
    public func note(_ zone: Zone?, of peerID: String) {
        state.withLock { state in
            state.uses &+= 1
            state.set(zone, of: peerID)
        }
    }

    /// A peer has told its zone in text. What is no zone counts as none; what was known before is not read again.
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
