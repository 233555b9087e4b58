internal import FoundationEssentials
import NIOCore
internal import NIOSSL
internal import NIOTLS

/// Verifies the peer's certificate behind the TLS handler, fires ``SecurityEstablished`` after the handshake, and
/// leaves the pipeline.
///
/// A handshake error that a certificate caused is replaced by the error of the certificate.
final class TLSPeerHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private var verdict: Result<PublicKey, TLSError>?
    private var isOwnHost = false
    private let contexts: TLSContexts
    private let now: () -> Double

    /// - Parameters:
    ///   - contexts: The certificate of this host.
    ///   - now: The time in seconds since 1970.
    init(contexts: TLSContexts, now: @escaping () -> Double = { Date().timeIntervalSince1970 }) {
        self.contexts = contexts
        self.now = now
    }

    /// Adds the TLS handler and this one to a pipeline, right behind `position`. Must be called on its event loop.
    static func add(
        role: YamuxSession.Role,
        contexts: TLSContexts,
        after position: any ChannelHandler,
        to pipeline: ChannelPipeline
    ) throws {
        let context = try contexts.context(role)
        let peer = TLSPeerHandler(contexts: contexts)
        let look: NIOSSLCustomVerificationCallback = { certificates, promise in
            promise.succeed(peer.look(at: certificates) ? .certificateVerified : .failed)
        }
        let tls: NIOSSLHandler =
            switch role {
            case .dialer:
                try NIOSSLClientHandler(context: context, serverHostname: nil, customVerificationCallback: look)
            case .listener:
                NIOSSLServerHandler(context: context, customVerificationCallback: look)
            }
        try pipeline.syncOperations.addHandlers([tls, peer], position: .after(position))
    }

    private func look(at certificates: [NIOSSLCertificate]) -> Bool {
        let result: Result<PublicKey, TLSError>
        do throws(TLSError) {
            guard let certificate = certificates.first, certificates.count == 1 else {
                throw .certificateCount(certificates.count)
            }
            guard let der = try? certificate.toDERBytes() else {
                throw .malformedCertificate(reason: "no DER encoding")
            }
            result = .success(try TLSCertificate.identity(provenBy: der, now: now()))
            isOwnHost = contexts.isOwn(der)
        } catch {
            result = .failure(error)
        }
        verdict = result
        if case .success = result { return true }
        return false
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .handshakeCompleted(let negotiated)? = event as? TLSUserEvent else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        // A resumed session would come without a certificate, so it is rejected.
        guard case .success(let key)? = verdict else {
            context.fireErrorCaught(TLSError.noCertificate)
            return
        }
        let muxer = negotiated == TLSContexts.plainProtocol ? nil : negotiated
        context.fireUserInboundEventTriggered(
            SecurityEstablished(remotePublicKey: key, earlyMuxer: muxer, isOwnHost: isOwnHost)
        )
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if case .failure(let cause)? = verdict {
            context.fireErrorCaught(cause)
        } else {
            context.fireErrorCaught(error)
        }
    }
}
