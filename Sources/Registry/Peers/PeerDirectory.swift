import Mirroring
import Multiformats
import NIOCore
import OCI
import Routing
import Synchronization
import Time

/// The ``PeerBook`` of this node, shared by its event loops.
final class PeerDirectory: Sendable {
    /// With more mirrored requests than this in flight, slow peers are a sign of load, and hedged requests would add to it.
    private static let maximumMirrorsWithoutLoad = 64

    private let book: Mutex<PeerBook>
    private let limits: TransferLimits
    private let configuration: RegistryConfiguration
    private let mirrorsInFlight: @Sendable () -> Int

    /// - Parameters:
    ///   - limits: those of a transfer without load.
    ///   - mirrorsInFlight: how many mirrored requests are in flight.
    init(
        limits: TransferLimits,
        configuration: RegistryConfiguration,
        mirrorsInFlight: @escaping @Sendable () -> Int
    ) {
        self.limits = limits
        self.configuration = configuration
        self.mirrorsInFlight = mirrorsInFlight
        book = Mutex(PeerBook(progressTimeout: limits.progressTimeout))
    }

    private var isLoaded: Bool { mirrorsInFlight() > Self.maximumMirrorsWithoutLoad }

    /// The limits of a transfer that starts now.
    func limitsForTransfer() -> TransferLimits {
        var limits = limits
        limits.hedgeDelay = book.withLock { $0.hedgeDelay }
        if isLoaded { limits.hedges = 0 }
        return limits
    }

    func record(_ event: PeerEvent, of peerID: String, at address: PeerAddress? = nil) {
        book.withLock { $0.record(event, of: peerID, at: address, now: .now) }
    }

    /// A peer and where it was asked last, for the log.
    func describe(_ peerID: String) -> String {
        let address = book.withLock { $0.address(of: peerID, now: .now) }
        return "\(peerID) at \(address?.text ?? "unknown")"
    }

    /// Notes that a peer sent nothing for too long.
    ///
    /// - Returns: whether it counts as silent; otherwise it is only slow.
    func timedOut(_ peerID: String) -> Bool {
        book.withLock { book in
            let now = MonotonicTime.now
            book.record(.timedOut(for: limits.progressTimeout), of: peerID, now: now)
            return book.isSilent(peerID, now: now)
        }
    }

    /// Puts providers into the order in which they are asked.
    func order(_ peers: [Peer]) -> [Peer] {
        guard peers.count > 1, configuration.peers.choosesProviders else { return peers }
        var random = SystemRandomNumberGenerator()
        return book.withLock { $0.order(peers, now: .now, using: &random, nearness: nearness) }
    }

    private func nearness(of peer: Peer) -> Nearness {
        let own = configuration.zone
        return Nearness(
            zone: own == nil ? nil : configuration.peerZones.zone(of: peer.id)?.text,
            own: own?.text,
            isOnSameNetwork: peer.addresses.first.flatMap { try? IPAddress($0.ip) }.map(configuration.peers.isNear)
                ?? false
        )
    }

    /// How much a peer is trusted with some content.
    func standing(of peerID: String, _ digest: Digest) -> PeerStanding {
        book.withLock { $0.standing(of: peerID, digest, now: .now) }
    }

    /// Whether a peer that timed out has answered another request moments ago.
    func isSlow(_ peerID: String) -> Bool {
        book.withLock { $0.isSlow(peerID, now: .now) }
    }

    /// Whether a peer timed out moments ago, so that it gets less time. Under load it may only have been slow.
    func isHurried(_ peerID: String) -> Bool {
        !isLoaded && book.withLock { $0.isSilent(peerID, now: .now) }
    }

    /// Notes the rate at which a body came while this number of bodies did.
    func measured(_ rate: Double, bodies: Int) {
        book.withLock { $0.usualRate.add(rate, bodies: bodies) }
    }

    /// The rate at which a body usually comes while this number of bodies do; 0 under load, where slowness is no fault of a peer.
    func expectedRate(bodies: Int) -> Double {
        isLoaded ? 0 : book.withLock { $0.usualRate.share(bodies: bodies) }
    }

    /// The peer that gave a range of some content moments ago.
    func recentProvider(of key: String) -> Peer? {
        book.withLock { $0.recentProvider(of: key, now: .now) }
    }
}
