import Logging
import NIOCore
import NIOHTTP1
import OCI
import Routing

/// The client of a mirrored request. All calls come on the event loop of the client's channel.
protocol MirrorClient: AnyObject {
    /// Whether bytes that are written now leave soon.
    var takesBytes: Bool { get }
    /// - Parameter source: the registry of the peer that the content begins to come from.
    func mirrorSends(head: MirroredContent, source: SocketAddress?)
    func mirrorSends(body: ByteBuffer)
    func mirrorFlushes()
    /// The answer ends; nothing follows.
    func mirrorEnds(_ ending: MirrorEnding)
}

/// How a mirrored request ends.
enum MirrorEnding: Hashable, Sendable {
    case complete
    case cutShort
    case notFound
    case rangeNotSatisfiable(size: Int64)
    /// The client has gone.
    case clientGone
}

/// Drives one ``MirrorTransfer``: carries out its actions on the event loop of the client's channel, where the
/// connections to the peers are made as well, so that bytes go from one to the other without leaving it.
final class MirrorSession: PeerConnectionUser {
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
    /// How many of the transfer's failures the router was told of.
    private var reportedFailures = 0
    private var peers: [MirrorTransfer.AttemptID: PeerConnection] = [:]
    /// The attempt that is to read on once the client takes bytes again.
    private var heldAttempt: MirrorTransfer.AttemptID?

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
        timer = LazyTimer(eventLoop: eventLoop)
        let digest: Digest? = if case .digest(let digest) = request.content.target { digest } else { nil }
        transfer = MirrorTransfer(
            MirrorTransfer.Request(
                isHead: request.isHead,
                kind: request.content.kind,
                digest: digest,
                range: request.range
            ),
            limits: services.transferLimits,
            now: started
        )
    }

    /// Begins to look for providers.
    func start() {
        services.metrics.changeMirrorsInFlight(by: 1)
        timer.onDeadline = { [weak self] in self?.timePassed() }
        timer.deadline = transfer.deadline
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        lookup = Task { [router = services.router, key = request.key, limit = transfer.providerLimit, eventLoop] in
            eventLoop.execute { bound.value.lookupStarted() }
            for await provider in router.providers(of: key, limit: limit) {
                eventLoop.execute { bound.value.found(provider) }
            }
            eventLoop.execute { bound.value.lookupEnded() }
        }
    }

    /// The client has gone: everything is let go at once.
    func clientClosed() {
        perform(transfer.clientClosed())
        end(.clientGone)
    }

    /// The client takes bytes again or does so no more.
    func clientTakesBytes(_ takes: Bool) {
        transfer.clientTakesBytes(takes, now: .now())
        timer.deadline = transfer.deadline
        guard takes, let held = heldAttempt else { return }
        heldAttempt = nil
        peers[held]?.read()
    }

    // MARK: Events

    private func lookupStarted() {
        transfer.lookupStarted(now: .now())
        if client != nil { timer.deadline = transfer.deadline }
    }

    private func found(_ provider: Provider) {
        perform(transfer.found(provider, now: .now()))
    }

    private func lookupEnded() {
        perform(transfer.lookupEnded(now: .now()))
    }

    private func timePassed() {
        // What happened before the deadline but waits its turn on a busy event loop comes first.
        eventLoop.assumeIsolated().execute { [weak self] in
            guard let self else { return }
            perform(transfer.timePassed(now: .now()))
        }
    }

    func peerConnected(_ attempt: MirrorTransfer.AttemptID) {
        transfer.connected(attempt, reused: false, now: .now())
        timer.deadline = transfer.deadline
    }

    func peerSentHead(_ head: PeerResponseHead, _ attempt: MirrorTransfer.AttemptID) {
        perform(transfer.received(head, of: attempt, now: .now()))
    }

    func peerSentBody(_ bytes: ByteBuffer, _ attempt: MirrorTransfer.AttemptID) {
        switch transfer.received(bytes: bytes.readableBytes, of: attempt, now: .now()) {
        case .drop: break
        case .forward(let head, let dropFirst):
            if let head { client?.mirrorSends(head: head, source: transfer.lastAddress) }
            var bytes = bytes
            if dropFirst > 0 { bytes.moveReaderIndex(forwardBy: min(dropFirst, bytes.readableBytes)) }
            services.metrics.addRelayedBytes(bytes.readableBytes)
            client?.mirrorSends(body: bytes)
        case .fail(let actions): perform(actions)
        }
    }

    func peerSentEnd(_ attempt: MirrorTransfer.AttemptID) {
        perform(transfer.ended(attempt, now: .now()))
    }

    func peerPaused(_ attempt: MirrorTransfer.AttemptID) {
        guard let client else { return }
        client.mirrorFlushes()
        // To flush may have ended the transfer.
        guard let peer = peers[attempt] else { return }
        if client.takesBytes {
            timer.deadline = transfer.deadline
            peer.read()
        } else {
            transfer.clientTakesBytes(false, now: .now())
            timer.deadline = transfer.deadline
            heldAttempt = attempt
        }
    }

    func peerFailed(_ failure: MirrorTransfer.Failure, _ attempt: MirrorTransfer.AttemptID) {
        perform(transfer.failed(attempt, failure, now: .now()))
    }

    // MARK: Actions

    private func perform(_ actions: [MirrorTransfer.Action]) {
        reportMissing()
        for action in actions {
            switch action {
            case .ask(let request): ask(request)
            case .cancel(let attempt): peers.removeValue(forKey: attempt)?.cancel()
            case .release(let attempt):
                if let peer = peers.removeValue(forKey: attempt) { pool.put(peer, now: .now()) }
            case .cancelLookup: lookup?.cancel()
            case .sendHead(let content): client?.mirrorSends(head: content, source: transfer.lastAddress)
            case .finish: end(.complete)
            case .cutShort: end(.cutShort)
            case .notFound: end(.notFound)
            case .rangeNotSatisfiable(let size): end(.rangeNotSatisfiable(size: size))
            }
        }
        if client != nil { timer.deadline = transfer.deadline }
    }

    /// Tells the router at once of each peer that answered 404, so that no other request is sent there.
    private func reportMissing() {
        for failure in transfer.failures.dropFirst(reportedFailures) where failure.failure == .refused(.notFound) {
            services.router.reportMissing(failure.provider, of: request.key)
        }
        reportedFailures = transfer.failures.count
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

    private func ask(_ peerRequest: MirrorTransfer.PeerRequest) {
        let head = requestHead(peerRequest)
        let attempt = peerRequest.attempt
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
        headers.reserveCapacity(5)
        headers.add(name: "Host", value: peerRequest.address.hostHeader)
        headers.add(name: "User-Agent", value: "spegel")
        headers.add(name: "Accept", value: "*/*")
        headers.add(name: mirroredHeaderName, value: "true")
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
        self.client = nil
        timer.stop()
        lookup?.cancel()
        lookup = nil
        for peer in peers.values { peer.cancel() }
        peers.removeAll()
        services.metrics.changeMirrorsInFlight(by: -1)
        services.metrics.addFailedAttempts(transfer.failures.count)
        if ending != .clientGone { reportUnreachable() }
        log(ending)
        client.mirrorEnds(ending)
    }

    private func log(_ ending: MirrorEnding) {
        guard logger.logLevel <= .info else { return }
        let outcome =
            switch ending {
            case .complete: "complete"
            case .cutShort: "cut short, every peer failed"
            case .notFound: "not found"
            case .rangeNotSatisfiable: "range not satisfiable"
            case .clientGone: "the client went away"
            }
        var metadata: Logger.Metadata = [
            "registry": "\(request.content.registry?.text ?? "")",
            "repository": "\(request.content.repository)",
            "key": "\(request.key)",
            "bytes": "\(transfer.sentBytes)",
            "milliseconds": "\((NIODeadline.now() - started).nanoseconds / 1_000_000)",
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
