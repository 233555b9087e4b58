import ContentStore
import CoreMetrics
import Logging
import Mirroring
import Multiformats
import NIOCore
import OCI
import Routing
import Splicing
import Synchronization

/// What all connections of a server share.
final class RegistryServices: Sendable {
    let configuration: RegistryConfiguration
    let store: any ContentStore
    let index: ContentIndex
    let router: any Router
    let readiness: @Sendable () -> Readiness
    let stalls: @Sendable () -> [String]
    let logger: Logger
    let metrics = RegistryMetrics()
    let journal = RegistryJournal()
    let counters: RegistryCounters
    let transferLimits: MirrorTransfer.Limits
    /// Set once the server shuts down: every connection closes after its current answer.
    let isDraining = Atomic(false)
    let holdBudget: HoldBudget
    private let silentPeers = Mutex(SilentPeers())
    private let peerTrust = Mutex(PeerTrust())
    private let deliveries = Mutex(Deliveries())
    private let knownSizes = Mutex(KnownSizes())
    private let recentProviders = Mutex(RecentProviders())
    private let missedContent = Mutex(MissedContent())
    let splicer: Splicer
    let congestionControl: CongestionControl
    private let firstByteTimes = Mutex(FirstByteTimes())
    private let peerLoads = Mutex(PeerLoads())
    /// The bodies that are sent to other nodes, by their addresses.
    let uploads: TransferGate<IPAddress>
    /// The blobs that are fetched from other nodes, by their peer ids.
    let downloads: TransferGate<String>
    /// Those of them that are known to be small, which never wait behind the others.
    let smallDownloads: TransferGate<String>
    let uploadRate: RateLimiter?
    /// While there is one, no bytes may go from a peer to a client without its leave.
    let downloadRate: RateLimiter?

    init(
        configuration: RegistryConfiguration,
        store: any ContentStore,
        index: ContentIndex,
        router: any Router,
        readiness: @escaping @Sendable () -> Readiness,
        stalls: @escaping @Sendable () -> [String],
        counters: RegistryCounters,
        logger: Logger
    ) {
        self.counters = counters
        self.configuration = configuration
        self.store = store
        self.index = index
        self.router = router
        self.readiness = readiness
        self.stalls = stalls
        self.logger = logger
        let uploadRate = configuration.uploadRate.map {
            RateLimiter(bytesPerSecond: $0, maximumTransfers: configuration.maximumUploads)
        }
        let downloadRate = configuration.downloadRate.map {
            RateLimiter(bytesPerSecond: $0, maximumTransfers: configuration.maximumDownloads)
        }
        self.uploadRate = uploadRate
        self.downloadRate = downloadRate
        uploads = TransferGate(
            limits: .init(
                inAll: uploadRate?.transfers ?? configuration.maximumUploads,
                perPeer: configuration.maximumUploadsPerPeer,
                waiting: configuration.maximumWaitingTransfers
            )
        )
        let downloadLimits = TransferQueue<String>.Limits(
            inAll: downloadRate?.transfers ?? configuration.maximumDownloads,
            perPeer: configuration.maximumDownloadsPerPeer,
            waiting: configuration.maximumWaitingTransfers
        )
        let downloads = TransferGate(limits: downloadLimits)
        self.downloads = downloads
        // Where there is a rate, all that share it count, so that each has enough of it.
        smallDownloads = downloadRate == nil ? TransferGate(limits: downloadLimits) : downloads
        holdBudget = HoldBudget(limit: configuration.maximumHeldBytes)
        congestionControl = CongestionControl(configured: configuration.congestionControl)
        splicer = Splicer(timeout: configuration.progressTimeout, cores: System.coreCount)
        transferLimits = MirrorTransfer.Limits(
            resolveTimeout: TimeAmount(configuration.resolveTimeout),
            lookupTimeout: TimeAmount(configuration.lookupTimeout),
            connectTimeout: TimeAmount(configuration.connectTimeout),
            headTimeout: TimeAmount(configuration.headTimeout),
            progressTimeout: TimeAmount(configuration.progressTimeout),
            providers: max(1, configuration.resolveRetries),
            peers: configuration.resolveCandidates,
            checkedSize: Int64(configuration.checkedSize),
            busyTimeout: TimeAmount(configuration.busyTimeout),
            splicedSize: Int64(configuration.splicedSize)
        )
        index.observe { [weak self] in self?.contentArrived($0) }
    }

    /// How many blobs are fetched, wait for their turn, and have waited in vain.
    var downloadCounts: (running: Int, waiting: Int, refused: Int) {
        let all = downloads.counts
        guard smallDownloads !== downloads else { return all }
        let small = smallDownloads.counts
        return (all.running + small.running, all.waiting + small.waiting, all.refused + small.refused)
    }

    /// Notes that a client was turned away.
    func noteRefusal(_ code: DistributionError.Code, of address: SocketAddress?) {
        metrics.addRefusal(code == .denied ? .address : .credentials)
        let client = address?.ip?.text ?? "unknown"
        if code == .denied {
            logger.warning(
                "a client was refused: its address is in no range of --allow-from",
                metadata: ["address": "\(client)"]
            )
        } else {
            logger.warning(
                "a client was refused: its credentials are missing or wrong",
                metadata: ["address": "\(client)"]
            )
        }
    }

    /// So many transfers at a time are load and not a slow peer: second requests would only add to it.
    private static let maximumMirrorsWithoutLoad = 64

    private var isLoaded: Bool { metrics.currentMirrors > Self.maximumMirrorsWithoutLoad }

    /// The limits of a transfer that begins now.
    func limitsForTransfer() -> MirrorTransfer.Limits {
        var limits = transferLimits
        limits.hedgeDelay = firstByteTimes.withLock { $0.hedgeDelay }
        if isLoaded { limits.hedges = 0 }
        return limits
    }

    /// Notes how long a peer took to the first byte of a body.
    func addFirstByteTime(_ time: TimeAmount, of peerID: String?) {
        firstByteTimes.withLock { $0.add(time) }
        if let peerID { peerLoads.withLock { $0.sentFirstByte(peerID, after: time) } }
    }

    /// Puts providers into the order in which they are to be asked.
    func order(_ providers: [Provider]) -> [Provider] {
        guard providers.count > 1, configuration.choosesProviders else { return providers }
        let own = configuration.zone
        var random = SystemRandomNumberGenerator()
        return peerLoads.withLock { loads in
            loads.order(providers, now: .now(), using: &random) { provider in
                Nearness(
                    zone: own == nil ? nil : configuration.peerZones.zone(of: provider.peerID),
                    own: own,
                    isOnSameNetwork: provider.addresses.first?.ip.map(configuration.isNear) ?? false
                )
            }
        }
    }

    /// Notes that a request to a peer begins.
    func requestBegins(to peerID: String) {
        peerLoads.withLock { $0.began(peerID, now: .now()) }
    }

    /// Notes that a request to a peer has ended.
    func requestEnds(to peerID: String) {
        peerLoads.withLock { $0.ended(peerID) }
    }

    /// Notes that a peer has failed, or was only busy.
    func requestFails(to peerID: String, wasBusy: Bool) {
        peerLoads.withLock { $0.failed(peerID, wasBusy: wasBusy, now: .now()) }
    }

    /// Has a peer not asked for some content for a while, since what it sent was wrong.
    func bar(_ peerID: String, _ digest: Digest) {
        peerTrust.withLock { $0.bar(peerID, digest, now: .now()) }
    }

    /// Notes that a peer sent nothing for too long, so that no other request waits as long for it.
    func fellSilent(_ peer: Provider) {
        let time = transferLimits.progressTimeout
        if silentPeers.withLock({ $0.insert(peer.peerID, for: time, now: .now()) }) { router.reportUnreachable(peer) }
    }

    /// Whether a peer that let too much time pass has answered others well after that began, and so is only slow.
    func isOnlySlow(_ peerID: String) -> Bool {
        let half = TimeAmount.nanoseconds(transferLimits.progressTimeout.nanoseconds / 2)
        return silentPeers.withLock { $0.hasAnswered(peerID, since: .now() - half) }
    }

    /// Notes that a peer answers, and what it tells of itself with content.
    func answered(_ peerID: String, _ head: PeerResponseHead) {
        silentPeers.withLock { $0.answered(peerID, now: .now()) }
        if head.status == 200 || head.status == 206 { configuration.peerZones.note(text: head.zone, of: peerID) }
    }

    /// Where bytes are counted that come from a peer, by its zone.
    func zoneCounter(of peerID: String?) -> Counter {
        guard let own = configuration.zone, let peerID, let zone = configuration.peerZones.zone(of: peerID) else {
            return counters.bytesOfUnknownZone
        }
        return zone == own ? counters.bytesOfSameZone : counters.bytesOfOtherZones
    }

    /// Whether a peer, which fell silent of late, has less time to answer. Under load it may only have been slow.
    func isHurried(_ peerID: String) -> Bool {
        !isLoaded && silentPeers.withLock { $0.contains(peerID, now: .now()) }
    }

    /// Has a peer check some content before it sends it, for a while, since what it sent may have been wrong.
    func suspect(_ peerID: String, _ digest: Digest) {
        peerTrust.withLock { $0.suspect(peerID, digest, now: .now()) }
    }

    /// How much a peer is trusted with some content.
    func standing(of peerID: String, _ digest: Digest) -> PeerTrust.Standing {
        peerTrust.withLock { $0.standing(of: peerID, digest, now: .now()) }
    }

    /// The peers that a client has got some content from whole, which it asks for again.
    func suspects(_ key: Deliveries.Key) -> [String] {
        deliveries.withLock { $0.suspects(key, now: .now()) }
    }

    /// Notes what a client has got that was not hashed.
    func noteDelivery(_ key: Deliveries.Key, _ part: Range<Int64>, size: Int64, from sources: [String]) {
        deliveries.withLock { $0.note(key, part, size: size, from: sources, now: .now()) }
    }

    /// Notes that content is right, or that it is known who sent something else.
    func settleDelivery(_ key: Deliveries.Key, right: [String]) {
        deliveries.withLock { $0.settle(key, right: right, now: .now()) }
    }

    /// The size of a blob that a manifest named which came by a moment ago.
    func knownSize(_ digest: Digest) -> Int64? {
        knownSizes.withLock { $0.size(digest) }
    }

    /// Learns from a manifest, whose digest was checked, how large the blobs are that it names. That is not done on the
    /// event loop, and not for each request.
    func learnSizes(fromManifest bytes: ByteBuffer, _ digest: Digest) {
        let size = bytes.readableBytes
        guard size <= KnownSizes.maximumManifestSize, knownSize(digest) == nil else { return }
        knownSizes.withLock { $0.note([Descriptor(mediaType: .ociManifest, digest: digest, size: Int64(size))]) }
        Task(priority: .utility) {
            guard let manifest = try? Manifest(json: bytes.readableBytesView), !manifest.isIndex else { return }
            knownSizes.withLock { $0.note(manifest.children) }
        }
    }

    /// Notes that a client was told that no node has some content, or has it from a byte on.
    func noteMissed(_ digest: Digest, from start: Int64, registry: String) {
        // It has come meanwhile, so the client asked before it had, and its bytes are counted.
        guard index.entry(digest) == nil else { return }
        missedContent.withLock { $0.note(digest, from: start, registry: registry, now: .now()) }
    }

    /// Notes that a node gave a client some content after all, from a byte to the end.
    func noteDelivered(_ digest: Digest, from start: Int64) {
        missedContent.withLock { $0.delivered(digest, from: start) }
    }

    /// Counts what of the content that is held now came from its source registry.
    private func contentArrived(_ arrival: ContentIndex.Arrival) {
        switch arrival {
        // It was here already when the client asked, and not known yet.
        case .first(let contents): _ = missedContent.withLock { $0.arrived(contents, now: .now()) }
        case .later(let contents):
            for arrival in missedContent.withLock({ $0.arrived(contents, now: .now()) }) {
                journal.addSource(arrival.bytes, now: RegistryJournal.now)
                counters.registry(arrival.registry).sourceReceivedBytes.increment(by: arrival.bytes)
            }
        }
    }

    /// The peer that gave a range of some content a moment ago.
    func recentProvider(of key: String) -> Provider? {
        recentProviders.withLock { $0.provider(of: key, now: .now()) }
    }

    /// Notes that a peer has given a range of some content.
    func noteRecent(_ provider: Provider, of key: String) {
        recentProviders.withLock { $0.note(provider, of: key, now: .now()) }
    }

    /// Notes that a peer has failed to give some content.
    func forgetRecent(_ peerID: String, of key: String) {
        recentProviders.withLock { $0.forget(peerID, of: key) }
    }
}

/// Where the content of a request is on this node.
enum LocalContent {
    /// In a file that is open now.
    case file(ContentFile, Digest, MediaType)
    /// In the store as far as is known, but not within reach as a file.
    case unopened(Digest, MediaType?)
    /// Perhaps here: whoever could tell does not, for this reason.
    case unavailable(String)
    /// Not here.
    case absent
}

extension RegistryServices {
    /// Finds content on this node without asking another process. A manifest whose media type is not known is read.
    func find(_ request: ContentRequest) -> LocalContent {
        let digest: Digest
        var mediaType: MediaType?
        switch request.content.target {
        case .digest(let asked): digest = asked
        case .tag:
            guard let target = index.resolve(tagName: request.key) else { return .absent }
            digest = target.digest
            mediaType = target.mediaType
        }
        let entry = index.entry(digest)
        mediaType = entry?.mediaType ?? mediaType
        let file: ContentFile?
        do {
            file = try store.openFile(digest)
        } catch {
            logger.warning("cannot open content", metadata: ["digest": "\(digest)", "error": "\(error)"])
            return .unavailable("the content cannot be opened")
        }
        guard let file else {
            return entry == nil ? .absent : .unopened(digest, mediaType)
        }
        guard request.content.kind == .manifest else { return .file(file, digest, .octetStream) }
        if let mediaType, mediaType.isServedAsManifest { return .file(file, digest, mediaType) }
        guard let bytes = try? file.readAll(limit: Manifest.maximumSize), let manifest = try? Manifest(json: bytes)
        else {
            return .absent
        }
        if let entry { index.insert(digest, size: entry.size, mediaType: manifest.mediaType) }
        return .file(file, digest, manifest.mediaType)
    }

    /// Opens content that is not within reach as a file, or gives `nil` when it is not held after all.
    ///
    /// - Returns: its reader, its media type, and the whole document when it had to be read to learn the type.
    func openUnopened(
        _ digest: Digest,
        mediaType: MediaType?,
        kind: DistributionRequest.Kind
    ) async throws -> (reader: any ContentReader, mediaType: MediaType)? {
        guard let reader = try await store.openReader(digest) else {
            index.remove(digest)
            return nil
        }
        guard kind == .manifest else { return (reader, .octetStream) }
        if let mediaType, mediaType.isServedAsManifest { return (reader, mediaType) }
        guard let bytes = try await store.readDocument(digest), let manifest = try? Manifest(json: bytes) else {
            return nil
        }
        index.insert(digest, size: reader.size, mediaType: manifest.mediaType)
        return (reader, manifest.mediaType)
    }
}
