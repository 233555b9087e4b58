import Membership
import Mirroring
import NIOCore
import NIOHTTP1
import OCI
import Routing

/// The requests of one mirrored answer to peers: each waits for its permit, then takes a connection of the pool or opens
/// one. Which peer is asked, and when, is the transfer's decision.
final class PeerRequests {
    /// What happens to a request before its connection is there.
    enum Event {
        /// It waits for a permit.
        case queued(AttemptID)
        /// It waited, and has its permit.
        case permitted(AttemptID)
        /// Too many wait for a permit.
        case refused(AttemptID)
        /// Its peer timed out moments ago.
        case hurried(AttemptID)
        /// It goes out on a connection that was idle.
        case reused(AttemptID)
    }

    private let content: ContentRequest
    /// The path and query of each request; a miss sends none.
    private lazy var path = NamedRegistry.request(
        to: content.content,
        filter: services.configuration.filter,
        known: transfer.digest.flatMap(services.contents.registry)
    ).path
    private let transfer: TransferRequest
    private let services: RegistryServices
    private let loop: RegistryLoop
    private let eventLoop: any EventLoop
    /// The user of the connections.
    weak var user: (any PeerConnectionUser)?
    var onEvent: (Event) -> Void = { _ in }
    private var exchanges: [AttemptID: PeerExchange] = [:]

    init(
        of content: ContentRequest,
        _ transfer: TransferRequest,
        services: RegistryServices,
        loop: RegistryLoop,
        eventLoop: any EventLoop
    ) {
        self.content = content
        self.transfer = transfer
        self.services = services
        self.loop = loop
        self.eventLoop = eventLoop
    }

    func connection(of attempt: AttemptID) -> PeerConnection? { exchanges[attempt]?.connection }

    func peerID(of attempt: AttemptID) -> String? { exchanges[attempt]?.request.peerID }

    func address(of attempt: AttemptID) -> PeerAddress? { exchanges[attempt]?.request.address }

    /// Whether a peer's answer to a request that was proven is proven as well.
    func isProven(_ response: PeerResponse, of attempt: AttemptID) -> Bool {
        guard let proven = exchanges[attempt]?.proof, response.digest != nil else { return false }
        let answer = ProvenAnswer(
            status: response.status,
            digest: response.digest,
            mediaType: response.contentType,
            length: response.contentLength
        )
        return AnswerProof.isValid(response.proof, of: answer, to: proven.proof, with: proven.key)
    }

    /// How many bytes the kernel has moved that were not reported yet.
    var splicedBytes: Int64 { exchanges.values.reduce(0) { $0 + ($1.connection?.splicedBytes ?? 0) } }

    /// Sends a request once it has a permit.
    func ask(_ request: PeerRequest) {
        let attempt = request.attempt
        exchanges[attempt] = PeerExchange(request: request)
        guard transfer.needsPermit else { return send(attempt) }
        let isSmall = transfer.isSmall(limit: services.configuration.transfers.smallBody)
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let answer = services.permits.request(for: request.peerID, isSmall: isSmall) { [eventLoop] in
            eventLoop.execute { bound.value.permitted(attempt) }
        }
        switch answer {
        case .granted(let permit):
            exchanges[attempt]?.permit = permit
            send(attempt)
        case .queued(let permit):
            exchanges[attempt]?.permit = permit
            onEvent(.queued(attempt))
        case .refused: onEvent(.refused(attempt))
        }
    }

    private func permitted(_ attempt: AttemptID) {
        guard exchanges[attempt] != nil else { return }
        onEvent(.permitted(attempt))
        send(attempt)
    }

    private func send(_ attempt: AttemptID) {
        guard let request = exchanges[attempt]?.request, let user else { return }
        exchanges[attempt]?.isInFlight = true
        services.peers.record(.requestStarted, of: request.peerID, at: request.address)
        if services.peers.isHurried(request.peerID) { onEvent(.hurried(attempt)) }
        let head = head(of: request)
        if request.mayReuse, let connection = loop.pool.take(request.address) {
            exchanges[attempt]?.connection = connection
            onEvent(.reused(attempt))
            return connection.send(head, attempt: attempt, user: user)
        }
        let connection = PeerConnection(address: request.address, metrics: services.telemetry.metrics)
        exchanges[attempt]?.connection = connection
        // The transfer's deadline decides, which forgives an event loop that was late itself. This one is a backstop.
        let timeout = TimeAmount(services.configuration.peers.connectTimeout) + .seconds(30)
        connection.connect(on: eventLoop, timeout: timeout, request: head, attempt: attempt, user: user)
    }

    private func head(of request: PeerRequest) -> HTTPRequestHead {
        var headers = HTTPHeaders()
        headers.reserveCapacity(6)
        headers.add(name: HeaderName.host, value: request.address.text)
        headers.add(name: HeaderName.userAgent, value: "spegel")
        headers.add(name: HeaderName.accept, value: "*/*")
        headers.add(name: HeaderName.mirrored, value: "true")
        if let proofs = services.proofs, !services.configuration.sendsPassword {
            let proven = proofs.prove(
                ProvenRequest(
                    method: content.isHead ? "HEAD" : "GET",
                    target: path,
                    range: request.part.headerValue,
                    wantsCheck: request.wantsCheck,
                    holder: request.peerID
                )
            )
            exchanges[request.attempt]?.proof = proven
            headers.add(name: HeaderName.proof, value: proven.proof.headerValue)
        } else if let authentication = services.configuration.authentication {
            headers.add(name: HeaderName.authorization, value: authentication.headerForPeers)
        }
        if request.wantsCheck { headers.add(name: HeaderName.check, value: "true") }
        if let range = request.part.headerValue { headers.add(name: HeaderName.range, value: range) }
        return HTTPRequestHead(
            version: .http1_1,
            method: content.isHead ? .HEAD : .GET,
            uri: path,
            headers: headers
        )
    }

    /// Ends what this node does for an attempt, and makes room for others.
    ///
    /// - Returns: its connection.
    func close(_ attempt: AttemptID) -> PeerConnection? {
        guard let exchange = exchanges.removeValue(forKey: attempt) else { return nil }
        exchange.permit?.release()
        if exchange.isInFlight { services.peers.record(.requestEnded, of: exchange.request.peerID) }
        return exchange.connection
    }

    /// Ends all attempts, and closes their connections.
    func cancelAll() {
        for attempt in Array(exchanges.keys) { close(attempt)?.cancel() }
    }
}
