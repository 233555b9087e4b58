internal import Multiformats

/// The providers that the answers of a lookup name.
///
/// Of one answer only a third of what is wanted counts, so that one peer's inventions do not end the search; the rest is
/// kept for the case that nobody else names more.
struct ProviderHarvest: Sendable {
    private let localPeer: PeerID
    private let perReply: Int
    private let configuration: Lookup.Configuration
    private var found: Set<PeerID> = []
    private var kept: [PeerInfo] = []

    init(wanted: Int, localPeer: PeerID, configuration: Lookup.Configuration) {
        self.localPeer = localPeer
        self.configuration = configuration
        perReply = max(1, wanted / 3)
    }

    /// How many count.
    var count: Int { found.count }

    /// Those that do not count, in the order in which they were named.
    var surplus: [PeerInfo] { kept.filter { !found.contains($0.id) } }

    /// Takes the providers of one answer.
    ///
    /// - Returns: those that count and were not known yet; the node itself is never among them.
    mutating func take(_ providers: [PeerInfo]) -> [PeerInfo] {
        var new: [PeerInfo] = []
        for provider in providers.prefix(configuration.maximumProvidersPerReply) {
            guard provider.id != localPeer, !provider.addresses.isEmpty, !found.contains(provider.id) else { continue }
            if new.count < perReply, found.count < configuration.maximumProviders {
                found.insert(provider.id)
                new.append(provider)
            } else if kept.count < configuration.maximumProviders {
                kept.append(provider)
            }
        }
        return new
    }
}
