import ContentStore
import CoreMetrics
import Logging
import NIOCore
import NIOHTTP1
import OCI
import Routing

/// The client of a mirrored request. All calls come on the event loop of the client's channel.
protocol MirrorClient: AnyObject {
    /// Whether bytes that are written now leave soon.
    var takesBytes: Bool { get }
    /// The address of the client, without the port; `nil` when it is not known.
    var address: String? { get }
    /// - Parameter source: the registry of the peer that the content begins to come from.
    func mirrorSends(head: MirroredContent, source: SocketAddress?)
    func mirrorSends(body: ByteBuffer)
    /// - Parameter whenSent: called once, when the bytes have left or cannot leave any more.
    func mirrorSends(body: ByteBuffer, whenSent: @escaping @Sendable () -> Void)
    func mirrorFlushes()
    /// Flushes, and tells when all that was written has left; never when it cannot.
    func mirrorFlushes(whenDone: @escaping () -> Void)
    /// A descriptor of the client's socket, for bytes that are sent past its channel.
    var socket: SocketDescriptor? { get }
    /// So many bytes of the body were sent past the channel.
    func mirrorSent(bytes: Int64)
    /// The client's connection is of no use any more.
    func mirrorLostClient()
    /// The answer ends; nothing follows.
    func mirrorEnds(_ ending: MirrorEnding)
}

/// How a mirrored request ends.
enum MirrorEnding: Hashable, Sendable {
    case complete
    case cutShort
    case notFound
    case rangeNotSatisfiable(size: Int64)
    /// Peers may have it, but were busy for all the time that was waited.
    case unavailable
    /// The client has gone.
    case clientGone
}

/// Drives one ``MirrorTransfer``: carries out its actions on the event loop of the client's channel, where the
/// connections to the peers are made as well, so that bytes go from one to the other without leaving it.
final class MirrorSession: PeerConnectionUser {
    /// From how late on a timer says that the event loop is busy, and how often it looks again at most.
    private static let lateness = TimeAmount.milliseconds(2)
    private static let mostLooks = 3
    /// How long a peer that gave a range a moment ago may take before others are looked for.
    private static let lookupDelay = TimeAmount.milliseconds(50)

    private let request: ContentRequest
    private let services: RegistryServices
    private let pool: PeerConnectionPool
    private let eventLoop: any EventLoop
    private let logger: Logger
    private let started = NIODeadline.now()
    private let timer: LazyTimer
    private var transfer: MirrorTransfer
    private var client: (any MirrorClient)?
    private var lookup: Task<Void, Never>?
    private var lookupStart = NIODeadline.now()
    private var lookupHasBegun = false
    private var lookupIsCounted = false
    private let registryLabel: String
    private let counters: RegistryCounters.PerRegistry
    /// How many of the transfer's failures the router was told of.
    private var reportedFailures = 0
    private var peers: [MirrorTransfer.AttemptID: PeerConnection] = [:]
    /// What is held back until its digest was checked, and the bytes of the budget that it takes.
    private var held: HeldBody?
    private var reserved = 0
    /// When each attempt was made that has not sent a byte of its body yet.
    private var asked: [MirrorTransfer.AttemptID: NIODeadline] = [:]
    /// The attempt that is to read on once the client takes bytes again.
    private var heldAttempt: MirrorTransfer.AttemptID?
    /// Providers that were found in the same burst as others, among which is chosen.
    private var newProviders: [Provider] = []
    /// The places of attempts among all that is fetched, and those attempts that have yet to get one.
    private var passes: [MirrorTransfer.AttemptID: TransferGate<String>.Ticket] = [:]
    private var queued: [MirrorTransfer.AttemptID: MirrorTransfer.PeerRequest] = [:]
    /// The peers that attempts are made at.
    private var attemptPeers: [MirrorTransfer.AttemptID: String] = [:]
    /// The bytes that were read since the rate limit was asked, and whether it holds the peer back.
    private var unpacedBytes = 0
    private var isPaced = false
    /// Under what the delivery of large content is remembered.
    private let delivery: Deliveries.Key?
    /// The peers that the client has got this from before, whole, and wrong most likely.
    private let suspects: [String]
    /// The lookup that is not needed if the peer that gave a range a moment ago gives this one too.
    private var lookupStarter: Scheduled<Void>?
    /// Whether the kernel may be asked to move bodies; it is not asked again once it could not.
    private var maySplice = true
    /// Whether the client has gone and only the kernel's count is waited for.
    private var clientHasGone = false
    /// The attempt at whose body the kernel is to take over as soon as all that was read has left. Nothing is read of it
    /// meanwhile.
    private var flushedFor: MirrorTransfer.AttemptID?

    init(
        _ request: ContentRequest,
        client: any MirrorClient,
        services: RegistryServices,
        pool: PeerConnectionPool,
        eventLoop: any EventLoop
    ) {
        self.request = request
        self.client = client
        self.services = services
        self.pool = pool
        self.eventLoop = eventLoop
        logger = services.logger
        registryLabel = services.counters.labels.label(request.content.registry)
        counters = services.counters.registry(registryLabel)
        timer = LazyTimer(eventLoop: eventLoop)
        let digest: Digest? = if case .digest(let digest) = request.content.target { digest } else { nil }
        delivery =
            if request.content.kind == .blob, !request.isHead, let digest, let address = client.address {
                Deliveries.Key(client: address, digest: digest)
            } else {
                nil
            }
        suspects = delivery.map(services.suspects) ?? []
        transfer = MirrorTransfer(
            MirrorTransfer.Request(
                isHead: request.isHead,
                kind: request.content.kind,
                digest: digest,
                range: request.range,
                mustHash: services.configuration.verification == .always || !suspects.isEmpty,
                size: request.content.kind == .blob ? digest.flatMap(services.knownSize) : nil
            ),
            limits: services.limitsForTransfer(),
            now: started
        )
    }

    /// The registry of the peer that was asked last.
    var source: SocketAddress? { transfer.lastAddress }

    /// Begins to look for providers.
    func start() {
        services.metrics.changeMirrorsInFlight(by: 1)
        timer.onDeadline = { [weak self] in self?.timePassed() }
        timer.deadline = transfer.deadline
        if !suspects.isEmpty {
            logger.info(
                "a client asks again for content that it has got; it is checked this time",
                metadata: ["key": "\(request.key)", "peers": "\(suspects.joined(separator: ", "))"]
            )
        }
        guard request.range != nil, let recent = services.recentProvider(of: request.key),
            standing(of: recent) < .suspect
        else { return startLookup() }
        lookupStarter = eventLoop.assumeIsolated().scheduleTask(in: Self.lookupDelay) { [weak self] in
            self?.startLookup()
        }
        perform(transfer.found(recent, standing: standing(of: recent), now: .now()))
    }

    /// Looks for providers, unless that was begun before.
    private func startLookup() {
        guard client != nil, !lookupHasBegun else { return }
        lookupHasBegun = true
        lookupStarter?.cancel()
        lookupStarter = nil
        // Suspects are found as well, and are of little use.
        let limit = providerLimit + suspects.count
        if let known = services.router.knownProviders(of: request.key, limit: limit) {
            lookupStarted()
            for provider in known { found(provider) }
            return lookupEnded()
        }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        lookup = Task { [router = services.router, key = request.key, eventLoop] in
            eventLoop.execute { bound.value.lookupStarted() }
            for await provider in router.providers(of: key, limit: limit) {
                eventLoop.execute { bound.value.found(provider) }
            }
            eventLoop.execute { bound.value.lookupEnded() }
        }
    }

    private var providerLimit: Int {
        max(transfer.providerLimit, services.configuration.resolveCandidates)
    }

    /// The client has gone: everything is let go at once.
    func clientClosed() {
        perform(transfer.clientClosed())
        end(.clientGone)
    }

    /// The client has gone while the kernel was sending to it, which ends at once; the client hears of the end.
    ///
    /// - Returns: whether the kernel was sending.
    func clientClosedWhileSpliced() -> Bool {
        guard let peer = peers.values.first(where: \.isSplicing) else { return false }
        clientHasGone = true
        peer.stopSplicing()
        return true
    }

    /// The client takes bytes again or does so no more.
    func clientTakesBytes(_ takes: Bool) {
        guard !isPaced, flushedFor == nil else { return }
        transfer.clientTakesBytes(takes, now: .now())
        timer.deadline = transfer.deadline
        guard takes, let held = heldAttempt else { return }
        heldAttempt = nil
        peers[held]?.read()
    }

    // MARK: Events

    private func lookupStarted() {
        lookupStart = .now()
        transfer.lookupStarted(now: .now())
        if client != nil { timer.deadline = transfer.deadline }
    }

    private func found(_ provider: Provider) {
        let standing = standing(of: provider)
        guard standing < .barred else { return }
        countLookup(.found)
        newProviders.append(provider)
        // What comes from memory comes all at once: the choice is among all of it.
        guard newProviders.count == 1 else { return }
        eventLoop.assumeIsolated().execute { [weak self] in self?.choose() }
    }

    /// Hands the providers over that were found, the best first.
    private func choose() {
        guard !newProviders.isEmpty else { return }
        let ordered = services.order(newProviders)
        newProviders = []
        let now = NIODeadline.now()
        perform(ordered.flatMap { transfer.found($0, standing: standing(of: $0), now: now) })
        // More were only looked for to choose among those that are found at once.
        if !transfer.wantsProviders { lookup?.cancel() }
    }

    private func standing(of provider: Provider) -> PeerTrust.Standing {
        guard let digest = transfer.request.digest else { return .trusted }
        let standing = services.standing(of: provider.peerID, digest)
        return suspects.contains(provider.peerID) ? max(standing, .suspect) : standing
    }

    private func lookupEnded() {
        choose()
        countLookup(.notFound)
        perform(transfer.lookupEnded(now: .now()))
    }

    /// Only the first provider counts: whoever waits, waits for that one.
    private func countLookup(_ outcome: RegistryCounters.Lookup) {
        guard client != nil, !lookupIsCounted else { return }
        lookupIsCounted = true
        services.counters.countLookup(outcome, nanoseconds: (NIODeadline.now() - lookupStart).nanoseconds)
    }

    private func timePassed() {
        // What happened before the deadline but waits its turn on a busy event loop comes first.
        let due = transfer.deadline ?? .now()
        eventLoop.assumeIsolated().execute { [weak self] in self?.timePassed(due: due, looks: 0) }
    }

    /// Has the deadline count, unless the event loop is late itself: then it has not seen yet what came in time, and
    /// looks at its sockets first.
    private func timePassed(due: NIODeadline, looks: Int) {
        choose()
        guard client != nil else { return }
        let now = NIODeadline.now()
        guard now - due > Self.lateness, looks < Self.mostLooks else {
            return perform(transfer.timePassed(now: now))
        }
        let next = now + Self.lateness
        eventLoop.assumeIsolated().scheduleTask(deadline: next) { [weak self] in
            self?.timePassed(due: next, looks: looks + 1)
        }
    }

    func peerConnected(_ attempt: MirrorTransfer.AttemptID) {
        transfer.connected(attempt, reused: false, now: .now())
        timer.deadline = transfer.deadline
    }

    func peerSentHead(_ head: PeerResponseHead, _ attempt: MirrorTransfer.AttemptID) {
        if let peerID = transfer.peerID(of: attempt) { services.answered(peerID) }
        perform(transfer.received(head, of: attempt, now: .now()))
    }

    func peerSentBody(_ bytes: ByteBuffer, _ attempt: MirrorTransfer.AttemptID) {
        let now = NIODeadline.now()
        if let since = asked.removeValue(forKey: attempt) {
            services.addFirstByteTime(now - since, of: attemptPeers[attempt])
        }
        let decision = transfer.received(bytes: bytes.readableBytes, of: attempt, now: now)
        if !decision.actions.isEmpty { perform(decision.actions) }
        switch decision.use {
        case .drop: break
        case .forward(let head, let dropFirst):
            if let head { client?.mirrorSends(head: head, source: transfer.lastAddress) }
            forward(bytes, dropFirst: dropFirst)
        case .hold(let content, let dropFirst):
            if held == nil, !hold(content) {
                if let head = transfer.cannotHold(content) {
                    client?.mirrorSends(head: head, source: transfer.lastAddress)
                }
            }
            forward(bytes, dropFirst: dropFirst)
        }
    }

    /// Passes bytes on to the client, by way of what is held back if something is.
    private func forward(_ bytes: ByteBuffer, dropFirst: Int) {
        var bytes = bytes
        if dropFirst > 0 { bytes.moveReaderIndex(forwardBy: min(dropFirst, bytes.readableBytes)) }
        services.metrics.addRelayedBytes(bytes.readableBytes)
        unpacedBytes += bytes.readableBytes
        counters.peerReceivedBytes.increment(by: bytes.readableBytes)
        if held == nil, transfer.isHashed, let algorithm = transfer.request.digest?.algorithm {
            held = HeldBody(lastChunkHashedBy: algorithm)
        }
        guard held != nil else {
            client?.mirrorSends(body: bytes)
            return
        }
        if let free = held?.take(bytes) { client?.mirrorSends(body: free) }
    }

    /// Begins to hold content back: whole if there is room for it.
    ///
    /// - Returns: whether there is.
    private func hold(_ content: MirroredContent) -> Bool {
        guard let algorithm = content.digest?.algorithm, let size = Int(exactly: content.size) else { return false }
        guard services.holdBudget.reserve(size) else {
            held = HeldBody(lastChunkHashedBy: algorithm)
            return false
        }
        reserved = size
        held = HeldBody(whole: size, algorithm: algorithm, allocator: ByteBufferAllocator())
        return true
    }

    private func check(_ attempt: MirrorTransfer.AttemptID, _ content: MirroredContent) {
        guard let held, let digest = content.digest else {
            return perform(transfer.failed(attempt, .corrupt, now: .now()))
        }
        perform(transfer.checked(attempt, matches: held.matches(digest), now: .now()))
    }

    /// Sends what was held back. It takes its part of the budget until it has left, however slow the client is.
    private func sendHeld() {
        guard let bytes = held?.bytes, let client else { return releaseHeld() }
        let (budget, size) = (services.holdBudget, reserved)
        reserved = 0
        client.mirrorSends(body: bytes) { budget.release(size) }
        if request.content.kind == .manifest, let digest = transfer.content?.digest {
            services.learnSizes(fromManifest: bytes, digest)
        }
        releaseHeld()
    }

    private func releaseHeld() {
        held = nil
        guard reserved > 0 else { return }
        services.holdBudget.release(reserved)
        reserved = 0
    }

    private func suspect(_ peerID: String, _ digest: Digest) {
        services.suspect(peerID, digest)
        services.metrics.addCorruptAnswer()
        logger.warning(
            "a peer may have sent content that is not what its digest says; it has to check it before it is asked again",
            metadata: ["peer": "\(peerID)", "digest": "\(digest)", "key": "\(request.key)"]
        )
    }

    private func bar(_ peerID: String, _ digest: Digest) {
        services.bar(peerID, digest)
        services.metrics.addCorruptAnswer()
        let addresses = transfer.lastPeerID == peerID ? transfer.lastAddress.map { [$0] } : nil
        services.router.reportCorrupt(Provider(peerID: peerID, addresses: addresses ?? []), of: request.key)
        logger.warning(
            "a peer sent content that is not what its digest says; it is not asked for it again for a while",
            metadata: ["peer": "\(peerID)", "digest": "\(digest)", "key": "\(request.key)"]
        )
    }

    func peerSentEnd(_ attempt: MirrorTransfer.AttemptID) {
        perform(transfer.ended(attempt, now: .now()))
    }

    func peerPaused(_ attempt: MirrorTransfer.AttemptID) {
        guard let client else { return }
        if flushedFor != nil
            || (maySplice && services.downloadRate == nil && services.splicer.isAble
                && transfer.spliceable(attempt) != nil)
        {
            return spliceOnceFlushed(attempt, client)
        }
        client.mirrorFlushes()
        // To flush may have ended the transfer.
        guard let peer = peers[attempt], !isPaced else { return }
        if pace(attempt) { return }
        if client.takesBytes {
            timer.deadline = transfer.deadline
            peer.read()
        } else {
            transfer.clientTakesBytes(false, now: .now())
            timer.deadline = transfer.deadline
            heldAttempt = attempt
        }
    }

    /// Holds a peer back for as long as the rate limit says.
    ///
    /// - Returns: whether it does.
    private func pace(_ attempt: MirrorTransfer.AttemptID) -> Bool {
        guard let rate = services.downloadRate, unpacedBytes > 0 else { return false }
        let now = NIODeadline.now()
        let moment = rate.grant(unpacedBytes, now: now)
        unpacedBytes = 0
        guard moment > now else { return false }
        // Nobody is to blame for the wait.
        transfer.clientTakesBytes(false, now: now)
        timer.deadline = transfer.deadline
        isPaced = true
        heldAttempt = attempt
        eventLoop.assumeIsolated().scheduleTask(deadline: moment) { [weak self] in
            guard let self, let client = self.client else { return }
            isPaced = false
            if client.takesBytes { clientTakesBytes(true) }
        }
        return true
    }

    // MARK: Past the event loop

    /// How many bytes of the body have gone to the client past its channel and were not told by
    /// ``MirrorClient/mirrorSent(bytes:)`` yet.
    var splicedBytes: Int64 {
        peers.values.reduce(0) { $0 + $1.splicedBytes }
    }

    /// Has the kernel move the rest of the body, as soon as all that was read of it has left.
    private func spliceOnceFlushed(_ attempt: MirrorTransfer.AttemptID, _ client: any MirrorClient) {
        let isWaiting = flushedFor != nil
        flushedFor = attempt
        transfer.clientTakesBytes(false, now: .now())
        timer.deadline = transfer.deadline
        if !isWaiting { client.mirrorFlushes { [weak self] in self?.splice() } }
    }

    private func splice() {
        guard let client, let attempt = flushedFor else { return }
        flushedFor = nil
        transfer.clientTakesBytes(true, now: .now())
        guard let peer = peers[attempt] else {
            timer.deadline = transfer.deadline
            return
        }
        if let count = transfer.spliceable(attempt), let socket = client.socket,
            peer.splice(count, to: socket, by: services.splicer, onBytes: countRelayed)
        {
            transfer.spliceBegan(attempt)
        } else {
            maySplice = false
            peer.read()
        }
        timer.deadline = transfer.deadline
    }

    private var countRelayed: @Sendable (Int) -> Void {
        { [services, counters] count in
            services.metrics.addRelayedBytes(count)
            counters.peerReceivedBytes.increment(by: count)
        }
    }

    func peerSpliced(_ bytes: Int64, _ end: SpliceProgress.End, _ attempt: MirrorTransfer.AttemptID) {
        transfer.spliced(bytes: bytes, of: attempt)
        client?.mirrorSent(bytes: bytes)
        guard !clientHasGone || end == .complete else { return clientClosed() }
        let now = NIODeadline.now()
        switch end {
        case .complete: perform(transfer.ended(attempt, now: now))
        case .peerClosed: perform(transfer.failed(attempt, .closed("in the middle of the answer"), now: now))
        case .peerFailed(let number): perform(transfer.failed(attempt, .closed(systemErrorText(number)), now: now))
        case .stalled: perform(transfer.failed(attempt, .progressTimeout, now: now))
        case .stopped: perform(transfer.failed(attempt, .closed("called off"), now: now))
        case .clientFailed: client?.mirrorLostClient()
        }
    }

    func peerFailed(_ failure: MirrorTransfer.Failure, _ attempt: MirrorTransfer.AttemptID) {
        perform(transfer.failed(attempt, failure, now: .now()))
    }

    // MARK: Actions

    private func perform(_ actions: [MirrorTransfer.Action]) {
        reportFailures()
        for action in actions {
            switch action {
            case .ask(let request): askInTurn(request)
            case .cancel(let attempt):
                asked[attempt] = nil
                letGo(attempt)
                peers.removeValue(forKey: attempt)?.cancel()
            case .release(let attempt):
                letGo(attempt)
                if let peer = peers.removeValue(forKey: attempt) { pool.put(peer, now: .now()) }
            case .cancelLookup: lookup?.cancel()
            case .sendHead(let content): client?.mirrorSends(head: content, source: transfer.lastAddress)
            case .check(let attempt, let content): check(attempt, content)
            case .sendHeld:
                sendHeld()
            case .discardHeld: releaseHeld()
            case .bar(let peerID, let digest): bar(peerID, digest)
            case .suspect(let peerID, let digest): suspect(peerID, digest)
            case .finish: end(.complete)
            case .cutShort: end(.cutShort)
            case .notFound: end(.notFound)
            case .unavailable: end(.unavailable)
            case .rangeNotSatisfiable(let size): end(.rangeNotSatisfiable(size: size))
            }
        }
        if client != nil { timer.deadline = transfer.deadline }
    }

    /// Tells at once of each peer that answered 404, so that no other request is sent there, and of each that fell silent.
    /// Whoever was asked without a lookup and failed makes one necessary.
    private func reportFailures() {
        let new = transfer.failures.dropFirst(reportedFailures)
        guard !new.isEmpty else { return }
        reportedFailures = transfer.failures.count
        for failure in new {
            services.forgetRecent(failure.peerID, of: request.key)
            if failure.failure == .refused(.notFound) {
                services.router.reportMissing(failure.provider, of: request.key)
            } else {
                services.requestFails(to: failure.peerID, wasBusy: failure.failure == .busy)
                if failure.failure.isSilence { services.fellSilent(failure.provider) }
            }
        }
        startLookup()
    }

    /// Tells the router of the peers that could be reached at none of their addresses that were tried.
    private func reportUnreachable() {
        let reached = Set(transfer.failures.filter { !$0.failure.isOfConnecting }.map(\.peerID))
        var reported: Set<String> = []
        for failure in transfer.failures where failure.failure.isOfConnecting {
            // The one that was asked last may have answered since.
            guard failure.peerID != transfer.lastPeerID || transfer.content == nil else { continue }
            guard !reached.contains(failure.peerID), reported.insert(failure.peerID).inserted else { continue }
            services.router.reportUnreachable(failure.provider)
        }
    }

    /// Asks a peer as soon as there is a place for another transfer. Only blobs need one: a manifest never waits behind
    /// them, and a head has no body.
    private func askInTurn(_ peerRequest: MirrorTransfer.PeerRequest) {
        let attempt = peerRequest.attempt
        guard request.content.kind == .blob, !request.isHead else { return ask(peerRequest) }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let entry = services.downloads.enter(peerRequest.peerID) { [eventLoop] _ in
            eventLoop.execute { bound.value.admitted(attempt) }
        }
        switch entry {
        case .runs(let ticket):
            passes[attempt] = ticket
            ask(peerRequest)
        case .waits(let ticket):
            passes[attempt] = ticket
            queued[attempt] = peerRequest
            transfer.queued(attempt)
        case .refused: perform(transfer.failed(attempt, .busy, now: .now()))
        }
    }

    private func admitted(_ attempt: MirrorTransfer.AttemptID) {
        guard let peerRequest = queued.removeValue(forKey: attempt) else { return }
        transfer.admitted(attempt, now: .now())
        ask(peerRequest)
        if client != nil { timer.deadline = transfer.deadline }
    }

    /// An attempt has ended: others may have its place.
    private func letGo(_ attempt: MirrorTransfer.AttemptID) {
        queued[attempt] = nil
        if let ticket = passes.removeValue(forKey: attempt) { services.downloads.leave(ticket) }
        if let peerID = attemptPeers.removeValue(forKey: attempt) { services.requestEnds(to: peerID) }
    }

    private func ask(_ peerRequest: MirrorTransfer.PeerRequest) {
        attemptPeers[peerRequest.attempt] = peerRequest.peerID
        services.requestBegins(to: peerRequest.peerID)
        let head = requestHead(peerRequest)
        let attempt = peerRequest.attempt
        asked[attempt] = .now()
        if services.isSilent(peerRequest.peerID) { transfer.hurry(attempt) }
        if peerRequest.mayReuse, let connection = pool.take(peerRequest.address) {
            peers[attempt] = connection
            transfer.connected(attempt, reused: true, now: .now())
            connection.send(head, attempt: attempt, user: self)
            return
        }
        let connection = PeerConnection(address: peerRequest.address, metrics: services.metrics)
        peers[attempt] = connection
        // The transfer's own deadline comes first; this one only stands behind it.
        let timeout = services.transferLimits.connectTimeout * 2
        connection.connect(on: eventLoop, timeout: timeout, request: head, attempt: attempt, user: self)
    }

    private func requestHead(_ peerRequest: MirrorTransfer.PeerRequest) -> HTTPRequestHead {
        var headers = HTTPHeaders()
        headers.reserveCapacity(6)
        headers.add(name: "Host", value: peerRequest.address.hostHeader)
        headers.add(name: "User-Agent", value: "spegel")
        headers.add(name: "Accept", value: "*/*")
        headers.add(name: mirroredHeaderName, value: "true")
        if let authentication = services.configuration.authentication {
            headers.add(name: "Authorization", value: authentication.headerForPeers)
        }
        if peerRequest.mustBeChecked { headers.add(name: checkHeaderName, value: "true") }
        if let range = peerRequest.asked.headerValue { headers.add(name: "Range", value: range) }
        return HTTPRequestHead(
            version: .http1_1,
            method: request.isHead ? .HEAD : .GET,
            uri: request.content.path,
            headers: headers
        )
    }

    private func end(_ ending: MirrorEnding) {
        guard let client else { return }
        count(ending)
        remember(ending)
        self.client = nil
        timer.stop()
        lookupStarter?.cancel()
        lookupStarter = nil
        lookup?.cancel()
        lookup = nil
        for attempt in Set(passes.keys).union(attemptPeers.keys) { letGo(attempt) }
        for peer in peers.values { peer.cancel() }
        peers.removeAll()
        releaseHeld()
        services.metrics.changeMirrorsInFlight(by: -1)
        services.metrics.addFailedAttempts(transfer.failures.count)
        services.metrics.addHedges(transfer.hedges)
        if ending != .clientGone { reportUnreachable() }
        client.mirrorEnds(ending)
        // The client does not wait for it.
        log(ending)
    }

    /// Remembers what the client has got from whom, in case it asks again.
    private func remember(_ ending: MirrorEnding) {
        if ending == .complete, request.range != nil, let peerID = transfer.lastPeerID,
            let address = transfer.lastAddress
        {
            services.noteRecent(Provider(peerID: peerID, addresses: [address]), of: request.key)
        }
        guard let delivery, let content = transfer.content else { return }
        if transfer.isHashed {
            let isRight = ending == .complete
            let isWrong = transfer.failures.last?.failure == .corrupt
            if isRight || isWrong { services.settleDelivery(delivery, right: isRight ? transfer.sources : []) }
            // What the client has got before was not this, so it was wrong.
            if isRight {
                for peerID in suspects where !transfer.sources.contains(peerID) { suspect(peerID, delivery.digest) }
            }
        } else if transfer.isCheckedByPeer, ending == .complete {
            services.settleDelivery(delivery, right: Array(transfer.sources.suffix(1)))
        } else {
            let start = content.range.lowerBound
            let part = start..<(start + transfer.sentBytes)
            services.noteDelivery(delivery, part, size: content.size, from: transfer.sources)
        }
    }

    private func count(_ ending: MirrorEnding) {
        countLookup(ending == .clientGone ? .cancelled : .timedOut)
        for failed in transfer.failures { services.counters.countFailure(failed.failure) }
        services.journal.addFailures(transfer.failures, isCutShort: ending == .cutShort, of: request)
        countMiss(ending)
        let isHit: Bool
        switch ending {
        case .complete: isHit = true
        case .cutShort, .notFound, .unavailable, .rangeNotSatisfiable: isHit = false
        case .clientGone:
            // Who leaves before there is an answer says nothing of whether there would have been one.
            guard transfer.content != nil else { return }
            isHit = true
        }
        let now = RegistryJournal.now
        services.journal.addMirrored(isHit: isHit, bytes: transfer.sentBytes, now: now)
        services.counters.countMirrored(
            registry: registryLabel,
            isHit: isHit,
            isExternal: request.isExternal,
            now: now
        )
    }

    /// Tells apart what the client now gets from the source registry.
    private func countMiss(_ ending: MirrorEnding) {
        guard let digest = transfer.request.digest else { return }
        switch ending {
        case .notFound, .unavailable:
            let start: Int64
            switch request.range {
            case .from(let first), .closed(let first, _): start = max(0, first)
            case .suffix, nil: start = 0
            }
            services.noteMissed(digest, from: start, registry: registryLabel)
        case .complete:
            guard !request.isHead, let range = transfer.content?.range, let size = transfer.content?.size,
                range.upperBound == size
            else { return }
            services.noteDelivered(digest, from: range.lowerBound)
        // The client asks again, or the source, for the rest; or has gone.
        case .cutShort, .rangeNotSatisfiable, .clientGone: return
        }
    }

    private func log(_ ending: MirrorEnding) {
        guard logger.logLevel <= .info else { return }
        let outcome =
            switch ending {
            case .complete: "complete"
            case .cutShort: "cut short, every peer failed"
            case .notFound: "not found"
            case .unavailable: "every peer is busy"
            case .rangeNotSatisfiable: "range not satisfiable"
            case .clientGone: "the client went away"
            }
        var metadata: Logger.Metadata = [
            "registry": "\(request.content.registry?.text ?? "")",
            "repository": "\(request.content.repository)",
            "key": "\(request.key)",
            "bytes": .stringConvertible(transfer.sentBytes),
            "duration": "\((NIODeadline.now() - started).nanoseconds / 1_000_000)ms",
            "outcome": "\(outcome)",
        ]
        if let peer = transfer.lastPeerID, let address = transfer.lastAddress {
            metadata["peer"] = "\(peer)"
            metadata["address"] = "\(address.hostHeader)"
        }
        if !transfer.failures.isEmpty {
            metadata["failures"] = .array(
                transfer.failures.map { "\($0.peerID) at \($0.address.hostHeader): \($0.failure)" }
            )
        }
        logger.info("mirrored request", metadata: metadata)
    }
}

extension SocketAddress {
    /// The address as it stands in a `Host` header and in the log: `192.0.2.1:5000`, `[2001:db8::1]:5000`.
    var hostHeader: String {
        let ip = ipAddress ?? ""
        let port = port ?? 0
        return ip.utf8.contains(UInt8(ascii: ":")) ? "[\(ip)]:\(port)" : "\(ip):\(port)"
    }
}
