import Listening
import Mirroring
import NIOCore
import OCI
import Routing
import Splicing
import Time

/// Drives one ``Transfer``: hands it events, carries out its actions, and sets the timer.
///
/// Everything runs on the event loop of the client's channel, where the connections to peers are made as well, so that
/// bytes go from one to the other without leaving it. The transfer decides; what is decided here is only what needs the
/// clock of a busy event loop: see ``timePassed(due:looks:)``.
final class MirrorSession {
    /// From how late on a timer shows that the event loop is busy, and how often it looks again at most.
    private static let lateness = Duration.milliseconds(2)
    private static let mostLooks = 3

    let request: ContentRequest
    let services: RegistryServices
    private let loop: RegistryLoop
    let eventLoop: any EventLoop
    private let timer: LazyTimer
    var transfer: Transfer
    private(set) var client: (any MirrorClient)?
    let requests: PeerRequests
    var held: VerificationBuffer
    private let memory: DeliveryMemory
    var report: MirrorReport
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
        held = VerificationBuffer(budget: services.verificationBudget)
        memory = DeliveryMemory(request, clientAddress: client.address, contents: services.contents)
        search = ProviderSearch(request.key, router: services.router, eventLoop: eventLoop)
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
        requests = PeerRequests(of: request, transfer.request, services: services, loop: loop, eventLoop: eventLoop)
    }

    /// Hands an event to the transfer, carries out its actions, and sets the timer.
    func input(_ event: (inout Transfer, MonotonicTime) -> [TransferAction]) {
        guard client != nil else { return }
        perform(event(&transfer, .now))
        if client != nil { timer.deadline = transfer.deadline.map(NIODeadline.init) }
    }

    // MARK: The client

    /// The registry of the peer that was asked last.
    var source: PeerAddress? { transfer.lastPeer?.address }

    /// How many bytes of the body the kernel has sent that ``MirrorClient/mirrorSent(bytes:)`` has not reported yet.
    var splicedBytes: Int64 { requests.splicedBytes }

    func start() {
        services.telemetry.record(.mirrorBegan)
        timer.onDeadline = { [weak self] in self?.timePassed() }
        search.onEvent = { [weak self] in self?.found($0) }
        requests.onEvent = { [weak self] in self?.requested($0) }
        requests.user = self
        if !memory.suspects.isEmpty {
            let peers = memory.suspects.map { services.peers.describe($0) }
            services.telemetry.record(.repeatedRequest(key: request.key, peers: peers))
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
        return memory.suspects.contains(peer.id) ? standing.whenAskedAgain : standing
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
            sampleRate()
            return input { [services] in $0.timePassed(now: $1, isSlow: services.peers.isSlow) }
        }
        let next = MonotonicTime.now + Self.lateness
        eventLoop.assumeIsolated().scheduleTask(deadline: NIODeadline(next)) { [weak self] in
            self?.timePassed(due: next, looks: looks + 1)
        }
    }

    // MARK: Requests to peers

    private func requested(_ event: PeerRequests.Event) {
        input { transfer, now in
            switch event {
            case .queued(let attempt): transfer.queued(attempt)
            case .permitted(let attempt): transfer.permitted(attempt, now: now)
            case .refused(let attempt): return transfer.failed(attempt, .busy, now: now)
            case .hurried(let attempt): transfer.hurry(attempt)
            case .reused(let attempt): transfer.connected(attempt, reused: true, now: now)
            }
            return []
        }
    }

    /// Looks how fast the body comes, if that is due.
    private func sampleRate() {
        guard let attempt = transfer.sampledAttempt(now: .now) else { return }
        let connection = requests.connection(of: attempt)
        let clientWasFull = connection?.takeBlocked() ?? false
        let expected = services.peers.expectedRate(bodies: services.splicer.current)
        let moved = connection?.splicedBytes ?? 0
        input { $0.sampled(attempt, movedBytes: moved, clientWasFull: clientWasFull, expected: expected, now: $1) }
    }

    // MARK: Actions

    func perform(_ actions: [TransferAction]) {
        reportFailures()
        for action in actions {
            switch action {
            case .startLookup: search.start(limit: transfer.lookupLimit + memory.suspects.count)
            case .cutLookup: search.cut()
            case .cancelLookup: search.stop()
            case .ask(let request): requests.ask(request)
            case .cancel(let attempt): requests.close(attempt)?.cancel()
            case .release(let attempt):
                if let connection = requests.close(attempt) { loop.pool.put(connection, now: .now()) }
            case .firstByte(let peerID, let time): services.peers.record(.firstByte(after: time), of: peerID)
            case .sendHead(let content): client?.mirrorSends(head: content, source: source)
            case .verify(let attempt, let content): verify(attempt, content)
            case .sendHeld: sendHeld()
            case .discardHeld: held.release()
            case .read(let attempt): requests.connection(of: attempt)?.read()
            case .flush(let attempt): flush(attempt)
            case .pace(let bytes): pace(bytes)
            case .releaseLastChunk:
                if let chunk = held.takeLastChunk() { client?.mirrorSends(body: chunk) }
            case .drain(let token):
                client?.mirrorFlushes { [weak self] in self?.input { $0.drained(token: token, now: $1) } }
            case .move(let attempt, let count): move(attempt, count)
            case .stopMoving(let attempt): requests.connection(of: attempt)?.stopSplicing()
            case .leave(let attempt): requests.connection(of: attempt)?.leaveSplicing()
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
        let address = transfer.address(of: peerID)
        if isCertain {
            let peer = Peer(id: peerID, addresses: address.map { [$0] } ?? [])
            services.router.reportCorrupt(Provider(peer), of: request.key)
        }
        services.telemetry.record(
            .digestMismatch(digest, key: request.key, peerID: peerID, address: address, isCertain: isCertain)
        )
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
        let record = report.count(ending, of: transfer)
        remember(ending)
        if let rate = transfer.measuredRate {
            services.peers.measured(rate, bodies: max(1, services.splicer.current))
        }
        self.client = nil
        timer.stop()
        search.stop()
        requests.cancelAll()
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
        report.log(record)
    }

    private func remember(_ ending: TransferEnding) {
        if ending == .complete, request.range != nil, let peer = transfer.lastPeer {
            services.peers.record(.gaveRange(ofKey: request.key, at: peer.address), of: peer.id)
        }
        guard let digest = transfer.request.digest else { return }
        for peerID in memory.remember(ending, of: transfer) { services.peers.record(.isDoubted(digest), of: peerID) }
    }
}
