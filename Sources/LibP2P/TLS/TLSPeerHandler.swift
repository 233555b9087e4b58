internal import FoundationEssentials
import NIOCore
internal import NIOSSL
internal import NIOTLS

/// Stands behind the TLS handler: looks at the peer's certificate, tells by ``SecurityEstablished`` who the peer is
/// once the handshake is done, and leaves the pipeline.
///
/// An error of the handshake that a certificate caused is replaced by what is wrong about the certificate.
final class TLSPeerHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private var verdict: Result<PublicKey, TLSError>?
    private let now: () -> Double

    /// - Parameter now: The time in seconds since 1970.
    init(now: @escaping () -> Double = { Date().timeIntervalSince1970 }) {
        self.now = now
    }

    /// Adds the TLS handler and this one to a pipeline, right behind `position`. To be called on its event loop.
    static func add(
        role: YamuxSession.Role,
        contexts: TLSContexts,
        after position: any ChannelHandler,
        to pipeline: ChannelPipeline
    ) throws {
        let context = try contexts.context(role)
        let peer = TLSPeerHandler()
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
                throw .malformedCertificate(reason: "it has no DER form")
            }
            result = .success(try TLSCertificate.identity(provenBy: der, now: now()))
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
        // A resumed session would come without a certificate; it is refused.
        guard case .success(let key)? = verdict else {
            context.fireErrorCaught(TLSError.noCertificate)
            return
        }
        let muxer = negotiated == TLSContexts.plainProtocol ? nil : negotiated
        context.fireUserInboundEventTriggered(SecurityEstablished(remotePublicKey: key, earlyMuxer: muxer))
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
