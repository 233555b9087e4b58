internal import Multiformats

/// The providers from the replies of a lookup.
///
/// Of one reply at most a third of the requested number counts, so that false providers of one peer do not end the search.
/// The surplus is kept in case no other peer names more.
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

    /// The number of providers that count.
    var count: Int { found.count }

    /// The providers that do not count, in the order of their replies.
    var surplus: [PeerInfo] { kept.filter { !found.contains($0.id) } }

    /// Takes the providers of one reply.
    ///
    /// - Returns: the new ones that count, never this node itself.
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
