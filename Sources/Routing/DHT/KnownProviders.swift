import Multiformats
import Synchronization

/// The providers that peers were made into lately, since to write a peer id and its addresses out anew for each request
/// is dearer than to look them up.
final class KnownProviders: Sendable {
    private struct Entry {
        var info: PeerInfo
        var provider: Provider
    }

    private let registryPort: UInt16
    private let limit: Int
    private let entries = Mutex<[PeerID: Entry]>([:])

    /// - Parameters:
    ///   - registryPort: the port of all registries.
    ///   - limit: how many are kept at most; one more, and all are forgotten.
    init(registryPort: UInt16, limit: Int = 1024) {
        self.registryPort = registryPort
        self.limit = limit
    }

    /// How many are kept.
    var count: Int { entries.withLock(\.count) }

    /// Where the registry of a peer is; `nil` when no address of it is known.
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
