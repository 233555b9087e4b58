import Logging
import Mirroring
import NIOCore
import NIOHTTP1
import OCI
import Routing

/// Drives one ``MirrorTransfer``: carries out its actions on the event loop of the client's channel, where the
/// connections to the peers are made as well, so that bytes go from one to the other without leaving it.
final class MirrorSession: PeerConnectionUser {
    /// From how late on a timer says that the event loop is busy, and how often it looks again at most.
    private static let lateness = TimeAmount.milliseconds(2)
    private static let mostLooks = 3
    /// How long a peer that gave a range a moment ago may take before others are looked for.
    private static let lookupDelay = TimeAmount.milliseconds(50)

    let request: ContentRequest
    let services: RegistryServices
    private let loop: RegistryLoop
    let eventLoop: any EventLoop
    let timer: LazyTimer
    var transfer: MirrorTransfer
    private(set) var client: (any MirrorClient)?
    private var lookup: Task<Void, Never>?
    private var lookupHasBegun = false
    /// Tells the lookup that goes on from one that was called off.
    private var lookupNumber = 0
    private var lookupIsCut = false
    /// Whether any lookup has got its place among those that are carried out.
    private var lookupHasStarted = false
    /// How many of the transfer's failures the router was told of.
    private var reportedFailures = 0
    private(set) var peers: [MirrorTransfer.AttemptID: PeerConnection] = [:]
    /// What is held back until its digest was checked.
    var held: HeldContent
    var flow = Flow()
    private let memory: DeliveryMemory
    private(set) var report: MirrorReport
    /// When each attempt was made that has not sent a byte of its body yet.
    private var asked: [MirrorTransfer.AttemptID: NIODeadline] = [:]
    /// Providers that were found in the same burst as others, among which is chosen.
    private var newProviders: [Provider] = []
    /// The places of attempts among all that is fetched, and those attempts that have yet to get one.
    private var passes: [MirrorTransfer.AttemptID: (gate: TransferGate<String>, ticket: UInt64)] = [:]
    private var queued: [MirrorTransfer.AttemptID: MirrorTransfer.PeerRequest] = [:]
    /// The peers that attempts are made at.
    private var attemptPeers: [MirrorTransfer.AttemptID: String] = [:]
    /// Those that wait for this answer.
    private(set) var shared: SharedMirror?
    /// The lookup that is not needed if the peer that gave a range a moment ago gives this one too.
    private var lookupStarter: Scheduled<Void>?

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
        let started = NIODeadline.now()
        report = MirrorReport(request, services: services, started: started)
        held = HeldContent(budget: services.holdBudget)
        memory = DeliveryMemory(request, digest: digest, clientAddress: client.address, services: services)
        transfer = MirrorTransfer(
            MirrorTransfer.Request(
                isHead: request.isHead,
                kind: request.content.kind,
                digest: digest,
                range: request.range,
                mustHash: services.configuration.verification == .always || !memory.suspects.isEmpty,
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
        if !memory.suspects.isEmpty {
            services.logger.info(
                "a client asks again for content that it has got; it is checked this time",
                metadata: ["key": "\(request.key)", "peers": "\(memory.suspects.joined(separator: ", "))"]
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
        lookupNumber += 1
        lookupStarter?.cancel()
        lookupStarter = nil
        // Suspects are found as well, and are of little use.
        let limit = transfer.providerLimit + memory.suspects.count + (lookupNumber > 1 ? transfer.foundProviders : 0)
        let number = lookupNumber
        if let known = services.router.knownProviders(of: request.key, limit: limit) {
            lookupStarted(number)
            for provider in known { found(provider) }
            return lookupEnded(number)
        }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let (router, key) = (services.router, request.key)
        lookup = Task(executorPreference: loop.taskExecutor) { [eventLoop] in
            let providers = router.providers(of: key, limit: limit) {
                eventLoop.execute { bound.value.lookupStarted(number) }
            }
            for await provider in providers {
                eventLoop.execute { bound.value.found(provider) }
            }
            eventLoop.execute { bound.value.lookupEnded(number) }
        }
    }

    /// Looks for providers once more, whatever has become of the first lookup.
    private func lookAgain() {
        lookup?.cancel()
        lookup = nil
        lookupHasBegun = false
        lookupIsCut = false
        startLookup()
    }

    /// The client has gone: everything is let go at once.
    func clientClosed() {
        perform(transfer.clientClosed())
        end(.clientGone)
    }

    // MARK: Events

    private func lookupStarted(_ number: Int) {
        guard number == lookupNumber else { return }
        lookupHasStarted = true
        report.lookupStarted()
        transfer.lookupStarted(now: .now())
        if client != nil { timer.deadline = transfer.deadline }
    }

    private func found(_ provider: Provider) {
        let standing = standing(of: provider)
        guard standing < .barred else { return }
        if client != nil { report.countLookup(.found) }
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
        if !transfer.wantsProviders, let lookup {
            lookupIsCut = true
            lookup.cancel()
        }
    }

    private func standing(of provider: Provider) -> PeerTrust.Standing {
        guard let digest = transfer.request.digest else { return .trusted }
        let standing = services.standing(of: provider.peerID, digest)
        return memory.suspects.contains(provider.peerID) ? max(standing, .suspect) : standing
    }

    private func lookupEnded(_ number: Int) {
        guard number == lookupNumber else { return }
        choose()
        if client != nil { report.countLookup(.notFound) }
        perform(transfer.lookupEnded(wasCut: lookupIsCut, now: .now()))
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
            return perform(transfer.timePassed(now: now, isSlow: services.isOnlySlow))
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
        if let peerID = transfer.peerID(of: attempt) { services.answered(peerID, head) }
        perform(transfer.received(head, of: attempt, now: .now()))
    }

    func peerSentBody(_ bytes: ByteBuffer, _ attempt: MirrorTransfer.AttemptID) {
        let now = NIODeadline.now()
        if let since = asked.removeValue(forKey: attempt) {
            services.addFirstByteTime(now - since, of: attemptPeers[attempt])
        }
        let decision = transfer.received(bytes: bytes.readableBytes, of: attempt, now: now)
        report.receives(from: attemptPeers[attempt], attempt)
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

    /// Sends the head of an answer whose body follows as it comes.
    private func begin(_ head: MirroredContent) {
        refuseToShare(nil)
        client?.mirrorSends(head: head, source: transfer.lastAddress)
    }

    func peerSentEnd(_ attempt: MirrorTransfer.AttemptID) {
        perform(transfer.ended(attempt, now: .now()))
    }

    func peerFailed(_ failure: MirrorTransfer.Failure, _ attempt: MirrorTransfer.AttemptID) {
        let isSlow = failure.isTimeout && transfer.peerID(of: attempt).map(services.isOnlySlow) == true
        perform(transfer.failed(attempt, failure, isSlow: isSlow, now: .now()))
    }

    // MARK: Actions

    func perform(_ actions: [MirrorTransfer.Action]) {
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
                if let peer = peers.removeValue(forKey: attempt) { loop.pool.put(peer, now: .now()) }
            case .cancelLookup: lookup?.cancel()
            case .lookAgain: lookAgain()
            case .sendHead(let content): client?.mirrorSends(head: content, source: transfer.lastAddress)
            case .check(let attempt, let content): check(attempt, content)
            case .sendHeld: sendHeld()
            case .discardHeld: held.release()
            case .bar(let peerID, let digest): bar(peerID, digest)
            case .suspect(let peerID, let digest): suspect(peerID, digest)
            case .finish: end(.complete)
            case .cutShort: end(.cutShort)
            case .notFound: end(lookupHasStarted ? .notFound : .overloaded)
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
            // Who only took too long to answer, and has answered others since, can be reached.
            guard failure.failure != .connectTimeout || !services.isOnlySlow(failure.peerID) else { continue }
            guard !reached.contains(failure.peerID), reported.insert(failure.peerID).inserted else { continue }
            services.router.reportUnreachable(failure.provider)
        }
    }

    /// Asks a peer as soon as there is a place for another transfer. Only blobs need one: a manifest never waits behind
    /// them, and a head has no body. What is small has places of its own.
    private func askInTurn(_ peerRequest: MirrorTransfer.PeerRequest) {
        let attempt = peerRequest.attempt
        guard request.content.kind == .blob, !request.isHead else { return ask(peerRequest) }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let gate = isSmall ? services.smallDownloads : services.downloads
        let entry = gate.enter(peerRequest.peerID) { [eventLoop] _ in
            eventLoop.execute { bound.value.admitted(attempt) }
        }
        switch entry {
        case .runs(let ticket):
            passes[attempt] = (gate, ticket)
            ask(peerRequest)
        case .waits(let ticket):
            passes[attempt] = (gate, ticket)
            queued[attempt] = peerRequest
            transfer.queued(attempt)
        case .refused: perform(transfer.failed(attempt, .busy, now: .now()))
        }
    }

    /// Whether what is asked for is known to be small.
    private var isSmall: Bool {
        let limit = services.configuration.smallBody
        if let size = transfer.request.size, size <= limit { return true }
        return switch request.range {
        case .closed(let first, let last): last - first < limit
        case .suffix(let count): count <= limit
        case .from, nil: false
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
        if let pass = passes.removeValue(forKey: attempt) { pass.gate.leave(pass.ticket) }
        if let peerID = attemptPeers.removeValue(forKey: attempt) { services.requestEnds(to: peerID) }
    }

    private func ask(_ peerRequest: MirrorTransfer.PeerRequest) {
        attemptPeers[peerRequest.attempt] = peerRequest.peerID
        services.requestBegins(to: peerRequest.peerID)
        let head = requestHead(peerRequest)
        let attempt = peerRequest.attempt
        asked[attempt] = .now()
        if services.isHurried(peerRequest.peerID) { transfer.hurry(attempt) }
        if peerRequest.mayReuse, let connection = loop.pool.take(peerRequest.address) {
            peers[attempt] = connection
            transfer.connected(attempt, reused: true, now: .now())
            connection.send(head, attempt: attempt, user: self)
            return
        }
        let connection = PeerConnection(address: peerRequest.address, metrics: services.metrics)
        peers[attempt] = connection
        // The transfer's own deadline decides, which forgives a node that was late itself. This one only stands behind it.
        let timeout = services.transferLimits.connectTimeout + .seconds(30)
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

    /// Has nobody wait for this answer any more.
    ///
    /// - Returns: those that did; `nil` where nobody could.
    func endSharing() -> (mirror: SharedMirror, followers: [SharedMirror.Follower])? {
        guard let mirror = shared.take() else { return nil }
        return (mirror, loop.sharedMirrors.end(mirror))
    }

    private func end(_ ending: MirrorEnding) {
        guard let client else { return }
        report.countLookup(ending == .clientGone ? .cancelled : .timedOut)
        report.count(ending, of: transfer)
        if let digest = transfer.request.digest {
            for peerID in memory.remember(ending, of: transfer) { suspect(peerID, digest) }
        }
        self.client = nil
        timer.stop()
        lookupStarter?.cancel()
        lookupStarter = nil
        lookup?.cancel()
        lookup = nil
        for attempt in Set(passes.keys).union(attemptPeers.keys) { letGo(attempt) }
        for peer in peers.values { peer.cancel() }
        peers.removeAll()
        held.release()
        services.metrics.changeMirrorsInFlight(by: -1)
        services.metrics.addFailedAttempts(transfer.failures.count)
        services.metrics.addHedges(transfer.hedges)
        if ending != .clientGone { reportUnreachable() }
        client.mirrorEnds(ending)
        // Where there was a body, those that waited have it by now.
        if ending == .complete { _ = share(nil) } else { refuseToShare(ending) }
        // The client does not wait for it.
        report.log(ending, of: transfer)
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
