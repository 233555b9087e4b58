import Multiformats
import Synchronization

/// A cache of providers by peer. Encoding a peer id and its addresses anew for each request costs more than a lookup.
final class KnownProviders: Sendable {
    private struct Entry {
        var info: PeerInfo
        var provider: Provider
    }

    private let registryPort: UInt16
    private let limit: Int
    private let entries = Mutex<[PeerID: Entry]>([:])

    /// - Parameters:
    ///   - registryPort: the registry port of all nodes.
    ///   - limit: the maximum number of entries. Above it, the cache is cleared.
    init(registryPort: UInt16, limit: Int = 1024) {
        self.registryPort = registryPort
        self.limit = limit
    }

    /// The number of entries.
    var count: Int { entries.withLock(\.count) }

    /// The registry of a peer; `nil` without a known address.
    func provider(_ info: PeerInfo) -> Provider? {
        entries.withLock { entries in
            if let entry = entries[info.id], entry.info == info { return entry.provider }
            guard let provider = Provider(info, registryPort: registryPort) else { return nil }
            if entries.count >= limit, entries[info.id] == nil { entries.removeAll() }
            entries[info.id] = Entry(info: info, provider: provider)
            return provider
        }
    }
}
