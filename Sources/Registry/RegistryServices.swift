import ContentStore
import CoreMetrics
import Mirroring
import NIOCore
import Routing
import Splicing

/// What all connections of a server share.
final class RegistryServices: Sendable {
    let configuration: RegistryConfiguration
    let content: LocalContent
    let router: any Router
    let readiness: @Sendable () -> Readiness
    let stalls: @Sendable () -> [String]
    let telemetry: Telemetry
    let rules: ConnectionRules
    /// The bodies that are sent to other nodes.
    let uploads: Uploads
    /// The blobs that are fetched from other nodes.
    let permits: DownloadPermits
    let peers: PeerDirectory
    let contents: ContentDirectory
    let verificationBudget: VerificationBudget
    let splicer: Splicer
    let congestionControl: CongestionControl
    /// What nodes prove to each other; `nil` for nothing.
    let proofs: NodeProofs?

    init(
        configuration: RegistryConfiguration,
        store: any ContentStore,
        index: ContentIndex,
        router: any Router,
        readiness: @escaping @Sendable () -> Readiness,
        stalls: @escaping @Sendable () -> [String],
        telemetry: Telemetry
    ) {
        self.telemetry = telemetry
        self.configuration = configuration
        proofs = NodeProofs(configuration)
        content = LocalContent(
            store: store,
            index: index,
            checkedSize: configuration.checks.checkedSize,
            telemetry: telemetry
        )
        self.router = router
        self.readiness = readiness
        self.stalls = stalls
        rules = ConnectionRules(configuration)
        uploads = Uploads(configuration)
        permits = DownloadPermits(configuration)
        let contents = ContentDirectory()
        self.contents = contents
        peers = PeerDirectory(
            limits: TransferLimits(configuration),
            configuration: configuration,
            mirrorsInFlight: { telemetry.metrics.currentMirrors }
        )
        verificationBudget = VerificationBudget(limit: configuration.checks.verificationBudget)
        congestionControl = CongestionControl(configured: configuration.clients.congestionControl)
        splicer = Splicer(timeout: configuration.peers.progressTimeout, cores: System.coreCount)
        index.observe { arrival in
            for arrived in contents.arrived(arrival) {
                telemetry.record(.sourceReceived(bytes: arrived.bytes, registry: arrived.registry))
            }
        }
    }

    /// Where bytes of a peer are counted, by its zone.
    func zoneCounter(of peerID: String?) -> Counter {
        let zones = telemetry.metrics.peers.zones
        guard let own = configuration.zone, let peerID, let zone = configuration.peerZones.zone(of: peerID) else {
            return zones.unknown
        }
        return zone == own ? zones.same : zones.other
    }
}

extension TransferLimits {
    /// The limits that the configuration sets; the others have their defaults.
    init(_ configuration: RegistryConfiguration) {
        self.init()
        lookup.resolveTimeout = configuration.peers.resolveTimeout
        lookup.timeout = configuration.peers.lookupTimeout
        connectTimeout = configuration.peers.connectTimeout
        headTimeout = configuration.peers.headTimeout
        progressTimeout = configuration.peers.progressTimeout
        retries.providers = max(1, configuration.peers.resolveRetries)
        retries.candidates = configuration.peers.resolveCandidates
        checkedSize = configuration.checks.checkedSize
        retries.busyTimeout = configuration.peers.busyTimeout
        splicedSize = configuration.peers.splicedSize
        isPaced = configuration.transfers.downloadRate != nil
    }
}
