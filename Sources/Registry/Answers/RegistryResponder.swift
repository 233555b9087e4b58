import ContentStore
import Membership
import NIOCore
import NIOHTTP1
import OCI
import Routing

/// Answers the requests of one client's connection: says who may ask, plans the answer, and begins it.
final class RegistryResponder: Responder {
    private let services: RegistryServices
    private let loop: RegistryLoop
    private var channel: (any Channel)?
    /// Whether the client's address is allowed; looked up once.
    private var isAllowed = true
    /// Whether another node was seen to ask.
    private var isPeer = false

    init(services: RegistryServices, loop: RegistryLoop) {
        self.services = services
        self.loop = loop
    }

    func connected(_ channel: any Channel) {
        self.channel = channel
        if let access = services.configuration.access { isAllowed = access.allows(channel.remoteAddress) }
    }

    func respond(to head: HTTPRequestHead, _ fields: RequestFields, in exchange: Exchange) {
        let rights = rights(head, fields, exchange)
        let plan = RequestPlan(head, fields, configuration: services.configuration, rights: rights)
        switch plan {
        case .base: exchange.send(.base)
        case .live: sendLiveness(exchange)
        case .ready: sendReadiness(exchange)
        case .refuse(let error):
            if let reason = plan.rejection(rights) {
                services.telemetry.record(.clientRejected(reason, channel?.remoteAddress))
                exchange.closeAfterwards()
            }
            exchange.send(.error(error), error.status == 404 ? .notFound : .rejected)
        case .reject(let status, let text): exchange.send(.text(status, text), .rejected)
        case .content(let request):
            exchange.content = request
            if request.isFromPeer { notePeer() }
            answer(AnswerContext(exchange: exchange, request: request, services: services, loop: loop))
        }
    }

    /// Who has a right by what, in this order: a node by its proof; any other client by its address, and the password if
    /// there is one. With a cluster key the proof is enough, and a node has no right without one.
    private func rights(_ head: HTTPRequestHead, _ fields: RequestFields, _ exchange: Exchange) -> ClientRights {
        if let proofs = services.proofs, fields.proof != nil || (proofs.isRequired && fields.isFromPeer) {
            do throws(RequestProof.Refusal) {
                exchange.proof = try proofs.check(
                    fields.proof ?? "",
                    method: head.method.rawValue,
                    target: head.uri,
                    fields
                )
            } catch {
                return error == .expired ? .expired : .unproven
            }
            return proofs.isRequired || isAllowed ? .all : .wrongAddress
        }
        guard isAllowed else { return .wrongAddress }
        guard let authentication = services.configuration.authentication else { return .all }
        return authentication.accepts(fields.authorization) ? .all : .wrongCredentials
    }

    /// The client is another node.
    private func notePeer() {
        guard !isPeer, let channel else { return }
        isPeer = true
        services.congestionControl.isOfPeer(channel)
    }

    // MARK: Health

    private func sendLiveness(_ exchange: Exchange) {
        let stalls = services.stalls()
        exchange.send(
            stalls.isEmpty ? .text(.ok, "alive") : .text(.serviceUnavailable, stalls.joined(separator: ", "))
        )
    }

    private func sendReadiness(_ exchange: Exchange) {
        guard !services.rules.isDraining else { return exchange.send(.text(.serviceUnavailable, "shutting down")) }
        switch services.readiness() {
        case .ready(let text): exchange.send(.text(.ok, text))
        case .notReady(let text): exchange.send(.text(.serviceUnavailable, text))
        }
    }

    // MARK: Content

    private func answer(_ context: AnswerContext) {
        let request = context.request
        switch services.content.find(request) {
        case .file(let found) where request.hasAlready(found.digest): context.sendNotModified(found.digest)
        case .unopened(let digest, _, _) where request.hasAlready(digest): context.sendNotModified(digest)
        case .file(let found):
            QueuedAnswer.begin(context, size: found.file.size) { FileAnswer.begin(context, found, permit: $0) }
        case .unopened(let digest, let mediaType, let size):
            QueuedAnswer.begin(context, size: size) { permit in
                context.exchange.handOver(to: ReaderAnswer(context, digest, mediaType, permit: permit))
            }
        // The content may be here, but cannot be opened now. A peer is told so; a client gets it from another node.
        case .unavailable(let reason) where request.isFromPeer: context.sendBusy(reason)
        case .unavailable, .absent: context.mirror()
        }
    }
}
