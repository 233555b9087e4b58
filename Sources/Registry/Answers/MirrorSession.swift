import ContentStore
import Mirroring
import NIOCore
import NIOHTTP1
import OCI
import Routing
import Splicing
import Time

/// Drives one ``Transfer``: hands it events, carries out its actions, and sets the timer.
///
/// Everything runs on the event loop of the client's channel, where the connections to peers are made as well, so that
/// bytes go from one to the other without leaving it. The transfer decides; what is decided here is only what needs the
/// clock of a busy event loop: see ``timePassed(due:looks:)``.
final class MirrorSession: PeerConnectionUser {
    /// From how late on a timer shows that the event loop is busy, and how often it looks again at most.
    private static let lateness = Duration.milliseconds(2)
    private static let mostLooks = 3

    let request: ContentRequest
    let services: RegistryServices
    private let loop: RegistryLoop
    let eventLoop: any EventLoop
    private let timer: LazyTimer
    private(set) var transfer: Transfer
    private(set) var client: (any MirrorClient)?
    private var exchanges: [AttemptID: PeerExchange] = [:]
    private var held: HeldContent
    private let memory: DeliveryMemory
    private var report: MirrorReport
    private let search: ProviderSearch
    /// The requests that wait for this answer.
    private var shared: SharedMirror?

    init(
        _ request: ContentRequest,
        client: any MirrorClient,
        services: RegistryServices,
        loop: RegistryLoop,
        eventLoop: any EventLoop,
        shared: SharedMirror? = nil
    ) {
        self.request = request
        self.loop = loop
        self.shared = shared
        self.client = client
        self.services = services
        self.eventLoop = eventLoop
        timer = LazyTimer(eventLoop: eventLoop)
        let digest: Digest? = if case .digest(let digest) = request.content.target { digest } else { nil }
        let started = MonotonicTime.now
        report = MirrorReport(request, services: services, loop: loop, started: NIODeadline(started))
        held = HeldContent(budget: services.holdBudget)
        memory = DeliveryMemory(request, clientAddress: client.address, contents: services.contents)
        search = ProviderSearch(
            request.key,
            router: services.router,
            eventLoop: eventLoop,
            executor: loop.taskExecutor
        )
        transfer = Transfer(
            TransferRequest(
                isHead: request.isHead,
                kind: request.content.kind,
                digest: digest,
                range: request.range,
                mustHash: services.configuration.checks.verification == .always || !memory.suspects.isEmpty,
                size: request.content.kind == .blob ? digest.flatMap(services.contents.size) : nil
            ),
            limits: services.peers.limitsForTransfer(),
            now: started
        )
    }

    /// Hands an event to the transfer, carries out its actions, and sets the timer.
    private func input(_ event: (inout Transfer, MonotonicTime) -> [TransferAction]) {
        guard client != nil else { return }
        perform(event(&transfer, .now))
        if client != nil { timer.deadline = transfer.deadline.map(NIODeadline.init) }
    }

    // MARK: The client

    /// The registry of the peer that was asked last.
    var source: SocketAddress? { transfer.lastPeer.flatMap { SocketAddress($0.address) } }

    /// How many bytes of the body the kernel has sent that ``MirrorClient/mirrorSent(bytes:)`` has not reported yet.
    var splicedBytes: Int64 {
        exchanges.values.reduce(0) { $0 + ($1.connection?.splicedBytes ?? 0) }
    }

    func start() {
        services.telemetry.record(.mirrorBegan)
        timer.onDeadline = { [weak self] in self?.timePassed() }
        search.onEvent = { [weak self] in self?.found($0) }
        if !memory.suspects.isEmpty {
            services.telemetry.record(.repeatedRequest(key: request.key, peers: memory.suspects))
        }
        let recent = request.range == nil ? nil : services.peers.recentProvider(of: request.key)
        let candidate = recent.map { (peer: $0, standing: standing(of: $0)) }
        input { $0.start(asking: candidate, now: $1) }
    }

    /// The client takes bytes again, or no more.
    func clientTakesBytes(_ takes: Bool) {
        input { $0.clientWritable(takes, now: $1) }
    }

    /// The client has gone while the kernel was sending, which now stops; the client hears of the end.
    ///
    /// - Returns: whether the kernel was sending.
    func clientClosedWhileSpliced() -> Bool {
        let actions = transfer.clientClosedWhileMoving()
        perform(actions)
        return !actions.isEmpty
    }

    /// The client has gone.
    func clientClosed() {
        input { transfer, _ in transfer.clientClosed() }
    }

    // MARK: Providers

    private func found(_ event: ProviderSearch.Event) {
        switch event {
        case .started:
            report.lookupStarted()
            input {
                $0.lookupStarted(now: $1)
                return []
            }
        case .found(let peers, let mayCut):
            let found = services.peers.order(peers).map { (peer: $0, standing: standing(of: $0)) }
            if found.contains(where: { $0.standing < .banned }) { report.countLookup(.found) }
            input { $0.found(found, mayCut: mayCut, now: $1) }
        case .ended:
            report.countLookup(.notFound)
            input { $0.lookupEnded(now: $1) }
        }
    }

    private func standing(of peer: Peer) -> PeerStanding {
        guard let digest = transfer.request.digest else { return .trusted }
        let standing = services.peers.standing(of: peer.id, digest)
        return memory.suspects.contains(peer.id) ? max(standing, .suspect) : standing
    }

    // MARK: Time

    private func timePassed() {
        // What happened before the deadline but waits its turn on a busy event loop comes first.
        let due = transfer.deadline ?? .now
        eventLoop.assumeIsolated().execute { [weak self] in self?.timePassed(due: due, looks: 0) }
    }

    /// Reports the deadline, unless the event loop itself is late: then it has not seen yet what came in time, and looks
    /// at its sockets first.
    private func timePassed(due: MonotonicTime, looks: Int) {
        search.handOver()
        guard client != nil else { return }
        guard MonotonicTime.now - due > Self.lateness, looks < Self.mostLooks else {
            return input { [services] in $0.timePassed(now: $1, isSlow: services.peers.isSlow) }
        }
        let next = MonotonicTime.now + Self.lateness
        eventLoop.assumeIsolated().scheduleTask(deadline: NIODeadline(next)) { [weak self] in
            self?.timePassed(due: next, looks: looks + 1)
        }
    }

    // MARK: PeerConnectionUser

    func peerConnected(_ attempt: AttemptID) {
        input {
            $0.connected(attempt, reused: false, now: $1)
            return []
        }
    }

    func peerSentHead(_ response: PeerResponse, _ attempt: AttemptID) {
        if let peerID = exchanges[attempt]?.request.peerID {
            services.peers.record(.answered, of: peerID)
            if response.status == 200 || response.status == 206 {
                services.configuration.peerZones.note(text: response.zone, of: peerID)
            }
        }
        input { $0.received(response, of: attempt, now: $1) }
    }

    func peerSentBody(_ bytes: ByteBuffer, _ attempt: AttemptID) {
        guard client != nil else { return }
        let decision = transfer.received(bytes: bytes.readableBytes, of: attempt, now: .now)
        report.receives(from: exchanges[attempt]?.request.peerID, attempt)
        if !decision.actions.isEmpty { perform(decision.actions) }
        switch decision.use {
        case .drop: break
        case .forward(let head, let dropFirst):
            if let head { begin(head) }
            forward(bytes, dropFirst: dropFirst)
        case .hold(let content, let dropFirst):
            if !held.isActive, !held.hold(content) {
                if let head = transfer.cannotHold(content) { begin(head) }
            }
            forward(bytes, dropFirst: dropFirst)
        }
    }

    func peerSentEnd(_ attempt: AttemptID) {
        input { $0.ended(attempt, now: $1) }
    }

    func peerPaused(_ attempt: AttemptID) {
        let canMove = services.permits.rate == nil && services.splicer.isAble
        input { $0.readable(attempt, canMove: canMove, now: $1) }
    }

    func peerSpliced(_ result: SpliceResult, _ attempt: AttemptID) {
        guard client != nil else { return }
        client?.mirrorSent(bytes: result.delivered)
        let canHash = result.hasher.map { held.hasher = $0 } != nil
        let end = MoveEnd(result.end)
        let isSlow = end == .stalled && isSlow(attempt)
        input { $0.moved(attempt, bytes: result.delivered, end: end, canHash: canHash, isSlow: isSlow, now: $1) }
    }

    func peerFailed(_ failure: AttemptFailure, _ attempt: AttemptID) {
        let isSlow = failure.isTimeout && isSlow(attempt)
        input { $0.failed(attempt, failure, isSlow: isSlow, now: $1) }
    }

    private func isSlow(_ attempt: AttemptID) -> Bool {
        transfer.peerID(of: attempt).map(services.peers.isSlow) ?? false
    }

    // MARK: Actions

    private func perform(_ actions: [TransferAction]) {
        reportFailures()
        for action in actions {
            switch action {
            case .startLookup: search.start(limit: transfer.lookupLimit + memory.suspects.count)
            case .cutLookup: search.cut()
            case .cancelLookup: search.stop()
            case .ask(let request): askOncePermitted(request)
            case .cancel(let attempt): closeExchange(attempt)?.cancel()
            case .release(let attempt):
                if let connection = closeExchange(attempt) { loop.pool.put(connection, now: .now()) }
            case .firstByte(let peerID, let time): services.peers.record(.firstByte(after: time), of: peerID)
            case .sendHead(let content): client?.mirrorSends(head: content, source: source)
            case .verify(let attempt, let content): verify(attempt, content)
            case .sendHeld: sendHeld()
            case .discardHeld: held.release()
            case .read(let attempt): exchanges[attempt]?.connection?.read()
            case .flush(let attempt): flush(attempt)
            case .pace(let bytes): pace(bytes)
            case .releaseLastChunk:
                if let chunk = held.takeLastChunk() { client?.mirrorSends(body: chunk) }
            case .drain(let token):
                client?.mirrorFlushes { [weak self] in self?.input { $0.drained(token: token, now: $1) } }
            case .move(let attempt, let count): move(attempt, count)
            case .stopMoving(let attempt): exchanges[attempt]?.connection?.stopSplicing()
            case .closeClient: client?.mirrorLostClient()
            case .ban(let peerID, let digest): blame(peerID, digest, isCertain: true)
            case .suspect(let peerID, let digest): blame(peerID, digest, isCertain: false)
            case .end(let ending): end(ending)
            }
        }
    }

    /// Reports each failure at once, so that other requests do not ask the same peer in vain.
    private func reportFailures() {
        for failed in transfer.takeNewFailures() {
            services.peers.record(.failedToGive(key: request.key), of: failed.peerID)
            if failed.failure == .refused(.notFound) {
                services.router.reportMissing(Provider(failed.peer), of: request.key)
                continue
            }
            services.peers.record(.failed(wasBusy: failed.failure == .busy), of: failed.peerID)
            if failed.failure.isSilence, services.peers.timedOut(failed.peerID) {
                services.router.reportUnreachable(Provider(failed.peer))
            }
        }
    }

    private func blame(_ peerID: String, _ digest: Digest, isCertain: Bool) {
        services.peers.record(isCertain ? .sentWrongBytes(digest) : .mayHaveSentWrongBytes(digest), of: peerID)
        if isCertain {
            let address = transfer.lastPeer.flatMap { $0.id == peerID ? $0.address : nil }
            let peer = Peer(id: peerID, addresses: address.map { [$0] } ?? [])
            services.router.reportCorrupt(Provider(peer), of: request.key)
        }
        services.telemetry.record(.digestMismatch(digest, key: request.key, peerID: peerID, isCertain: isCertain))
    }

    // MARK: Requests to peers

    private func askOncePermitted(_ request: PeerRequest) {
        let attempt = request.attempt
        exchanges[attempt] = PeerExchange(request: request)
        guard transfer.request.needsPermit else { return ask(attempt) }
        let isSmall = transfer.request.isSmall(limit: services.configuration.transfers.smallBody)
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let answer = services.permits.request(for: request.peerID, isSmall: isSmall) { [eventLoop] in
            eventLoop.execute { bound.value.permitted(attempt) }
        }
        switch answer {
        case .granted(let permit):
            exchanges[attempt]?.permit = permit
            ask(attempt)
        case .queued(let permit):
            exchanges[attempt]?.permit = permit
            input { transfer, _ in
                transfer.queued(attempt)
                return []
            }
        case .refused: input { $0.failed(attempt, .busy, now: $1) }
        }
    }

    private func permitted(_ attempt: AttemptID) {
        guard client != nil, exchanges[attempt] != nil else { return }
        input {
            $0.permitted(attempt, now: $1)
            return []
        }
        ask(attempt)
    }

    private func ask(_ attempt: AttemptID) {
        guard let request = exchanges[attempt]?.request else { return }
        exchanges[attempt]?.isInFlight = true
        services.peers.record(.requestStarted, of: request.peerID)
        if services.peers.isHurried(request.peerID) { transfer.hurry(attempt) }
        let head = requestHead(request)
        if request.mayReuse, let connection = loop.pool.take(request.address) {
            exchanges[attempt]?.connection = connection
            input {
                $0.connected(attempt, reused: true, now: $1)
                return []
            }
            return connection.send(head, attempt: attempt, user: self)
        }
        let connection = PeerConnection(address: request.address, metrics: services.telemetry.metrics)
        exchanges[attempt]?.connection = connection
        // The transfer's deadline decides, which forgives an event loop that was late itself. This one is a backstop.
        let timeout = TimeAmount(services.configuration.peers.connectTimeout) + .seconds(30)
        connection.connect(on: eventLoop, timeout: timeout, request: head, attempt: attempt, user: self)
    }

    private func requestHead(_ peerRequest: PeerRequest) -> HTTPRequestHead {
        var headers = HTTPHeaders()
        headers.reserveCapacity(6)
        headers.add(name: HeaderName.host, value: peerRequest.address.text)
        headers.add(name: HeaderName.userAgent, value: "spegel")
        headers.add(name: HeaderName.accept, value: "*/*")
        headers.add(name: HeaderName.mirrored, value: "true")
        if let authentication = services.configuration.authentication {
            headers.add(name: HeaderName.authorization, value: authentication.headerForPeers)
        }
        if peerRequest.mustBeChecked { headers.add(name: HeaderName.check, value: "true") }
        if let range = peerRequest.part.headerValue { headers.add(name: HeaderName.range, value: range) }
        return HTTPRequestHead(
            version: .http1_1,
            method: request.isHead ? .HEAD : .GET,
            uri: request.content.path,
            headers: headers
        )
    }

    /// Ends what this node does for an attempt, and makes room for others.
    ///
    /// - Returns: its connection.
    private func closeExchange(_ attempt: AttemptID) -> PeerConnection? {
        guard let exchange = exchanges.removeValue(forKey: attempt) else { return nil }
        exchange.permit?.release()
        if exchange.isInFlight { services.peers.record(.requestEnded, of: exchange.request.peerID) }
        return exchange.connection
    }

    // MARK: Bytes

    /// Sends the head of an answer whose body follows as it comes.
    private func begin(_ head: PromisedContent) {
        refuseToShare(nil)
        client?.mirrorSends(head: head, source: source)
    }

    /// Writes a chunk to the client, unless it is held.
    private func forward(_ bytes: ByteBuffer, dropFirst: Int) {
        var bytes = bytes
        if dropFirst > 0 { bytes.moveReaderIndex(forwardBy: min(dropFirst, bytes.readableBytes)) }
        report.count(bytes: bytes.readableBytes)
        if !held.isActive, transfer.delivery.isHashed, let algorithm = transfer.request.digest?.algorithm {
            held.holdLastChunk(algorithm)
        }
        guard held.isActive else {
            client?.mirrorSends(body: bytes)
            return
        }
        if let free = held.take(bytes) { client?.mirrorSends(body: free) }
    }

    private func flush(_ attempt: AttemptID) {
        client?.mirrorFlushes()
        // To flush may have ended the transfer.
        guard let client else { return }
        input { $0.flushed(attempt, clientIsWritable: client.takesBytes, now: $1) }
    }

    private func pace(_ bytes: Int) {
        guard let rate = services.permits.rate else { return granted() }
        let now = NIODeadline.now()
        let moment = rate.grant(bytes, now: now)
        guard moment > now else { return granted() }
        eventLoop.assumeIsolated().scheduleTask(deadline: moment) { [weak self] in self?.granted() }
    }

    private func granted() {
        guard let client else { return }
        input { $0.granted(clientIsWritable: client.takesBytes, now: $1) }
    }

    private func move(_ attempt: AttemptID, _ count: Int64) {
        var verification: DigestVerification?
        if transfer.delivery.isHashed, let hasher = held.hasher, let digest = transfer.delivery.content?.digest {
            verification = DigestVerification(hasher: hasher, expected: digest)
        }
        let isMoving =
            if verification != nil || !transfer.delivery.isHashed, let socket = client?.socket,
                let connection = exchanges[attempt]?.connection
            {
                connection.splice(
                    count,
                    to: socket,
                    by: services.splicer,
                    verification: verification,
                    onBytes: report.countBytes
                )
            } else {
                false
            }
        input { transfer, _ in
            guard isMoving else { return transfer.moveRefused(attempt) }
            transfer.moveStarted(attempt)
            return []
        }
    }

    private func verify(_ attempt: AttemptID, _ content: PromisedContent) {
        guard let digest = content.digest, let matches = held.matches(digest) else {
            return input { $0.failed(attempt, .corrupt, now: $1) }
        }
        if matches, request.content.kind == .manifest, let bytes = held.whole,
            !ManifestTypeCheck.passes(bytes, as: content.mediaType)
        {
            let refusal = PeerRefusal.wrongMediaType(String(content.mediaType.prefix(128)))
            return input { $0.failed(attempt, .refused(refusal), now: $1) }
        }
        input { $0.verified(attempt, matches: matches, now: $1) }
    }

    /// Writes what is held. It takes its part of the budget until it has left, however slow the client is.
    private func sendHeld() {
        guard let client, let (bytes, release) = held.takeAll() else { return held.release() }
        client.mirrorSends(body: bytes, whenSent: share(bytes, release: release))
        if request.content.kind == .manifest, let digest = transfer.delivery.content?.digest {
            services.contents.learnSizes(fromManifest: bytes, digest)
        }
    }

    // MARK: The end

    /// Detaches the followers.
    ///
    /// - Returns: `nil` if the answer cannot be shared any more.
    func endSharing() -> (mirror: SharedMirror, followers: [any MirrorFollower])? {
        guard let mirror = shared.take() else { return nil }
        return (mirror, loop.sharedMirrors.end(mirror))
    }

    private func end(_ ending: TransferEnding) {
        guard let client else { return }
        report.countLookup(ending == .clientGone ? .cancelled : .timedOut)
        report.count(ending, of: transfer)
        remember(ending)
        self.client = nil
        timer.stop()
        search.stop()
        for attempt in Array(exchanges.keys) { closeExchange(attempt)?.cancel() }
        held.release()
        if ending != .clientGone {
            for peer in transfer.unreachablePeers(isSlow: services.peers.isSlow) {
                services.router.reportUnreachable(Provider(peer))
            }
        }
        client.mirrorEnds(ending)
        // If there was a body, the followers have it by now.
        if ending == .complete { _ = share(nil) } else { refuseToShare(ending) }
        // The client does not wait for the log.
        report.log(ending, of: transfer)
    }

    private func remember(_ ending: TransferEnding) {
        if ending == .complete, request.range != nil, let peer = transfer.lastPeer {
            services.peers.record(.gaveRange(ofKey: request.key, at: peer.address), of: peer.id)
        }
        guard let digest = transfer.request.digest else { return }
        for peerID in memory.remember(ending, of: transfer) { blame(peerID, digest, isCertain: false) }
    }
}

extension MoveEnd {
    init(_ end: SpliceProgress.End) {
        self =
            switch end {
            case .complete: .complete
            case .digestMismatch: .corrupt
            case .sourceClosed: .sourceFailed("in the middle of the body")
            case .sourceFailed(let number): .sourceFailed(systemErrorText(number))
            case .stalled: .stalled
            case .destinationFailed: .clientFailed
            case .hashFailed, .stopped: .stopped
            }
    }
}
