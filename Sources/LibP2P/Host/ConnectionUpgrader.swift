import Crypto
import Membership
import Multiformats
import NIOCore

/// Upgrades a TCP channel to a connection: security negotiation, security handshake, muxer negotiation, muxer
/// (libp2p/specs, connections/README.md).
///
/// It is the last handler of the pipeline until then. Any failure before the end, also of its deadline, closes the
/// channel and fails the promise with the reason.
final class ConnectionUpgrader: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    /// The supported muxers, the preferred one first.
    static let muxers = ["/yamux/1.0.0"]

    /// The parameters of an upgrade.
    struct Parameters {
        var role: YamuxSession.Role
        var keyPair: KeyPair
        var tls: TLSContexts
        /// The Noise key of this host.
        var noiseKey: Curve25519.KeyAgreement.PrivateKey
        /// The peer that a dialer expects; `nil` for any.
        var expectedPeer: PeerID?
        /// The remote address in case the channel does not know it.
        var remoteAddress: Multiaddr
        var settings: HostConfiguration
        var handlers: ProtocolHandlers
        var tasks: TaskTracker
        var resources: HostResources
        var timeout: Duration
        /// Called if the peer does not prove that it belongs to the cluster.
        var onOutsider: (any Error) -> Void
    }

    private let parameters: Parameters
    private let promise: EventLoopPromise<Connection>
    private let register: (Connection) throws -> Void
    private var deadline: Scheduled<Void>?
    /// The negotiated security protocol.
    private var security: SecurityProtocol?
    /// The fingerprint of the cluster key that the peer has proven to know.
    private var membership: String?
    /// Whether the TCP connection was established, so that a failure counts as one of the handshake.
    private var wasActive = false
    private var isFinished = false

    /// - Parameters:
    ///   - parameters: The parameters of the upgrade.
    ///   - promise: Completed at the end, with success or failure.
    ///   - register: Called with the connection before it receives anything; may reject it.
    init(
        parameters: Parameters,
        promise: EventLoopPromise<Connection>,
        register: @escaping (Connection) throws -> Void
    ) {
        self.parameters = parameters
        self.promise = promise
        self.register = register
    }

    func handlerAdded(context: ChannelHandlerContext) {
        wasActive = context.channel.isActive
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let timeout = parameters.timeout
        deadline = context.eventLoop.scheduleTask(in: TimeAmount(timeout)) {
            let (upgrader, context) = loopBound.value
            upgrader.fail(HostError.handshakeTimeout(timeout), context)
        }
        let negotiation = MultistreamHandler(
            role: parameters.role,
            protocols: securities.map(\.protocolID),
            isStrict: parameters.settings.membership != nil
        ) { context, protocolID in
            let (upgrader, _) = loopBound.value
            try upgrader.secure(context, by: protocolID)
        }
        do {
            try context.pipeline.syncOperations.addHandler(negotiation, position: .before(self))
        } catch {
            fail(error, context)
        }
    }

    private var securities: [SecurityProtocol] {
        parameters.settings.membership == nil ? parameters.settings.securities : [.cluster]
    }

    /// Adds the handlers of a security protocol behind the handler that negotiated it.
    private func secure(_ context: ChannelHandlerContext, by protocolID: String) throws {
        guard let security = SecurityProtocol(rawValue: protocolID), securities.contains(security) else {
            throw MultistreamError.noneSupported([protocolID])
        }
        self.security = security
        switch security {
        case .tls:
            try TLSPeerHandler.add(
                role: parameters.role,
                contexts: parameters.tls,
                after: context.handler,
                to: context.pipeline
            )
        case .noise, .cluster:
            // The peer id is compared after the handshake, which the remote side may need to complete.
            let noise = NoiseHandler(
                keyPair: parameters.keyPair,
                staticKey: parameters.noiseKey,
                role: parameters.role == .dialer ? .initiator : .responder,
                expectedPeer: nil,
                muxers: parameters.settings.offersEarlyMuxer ? Self.muxers : [],
                membership: parameters.settings.membership?.keys
            )
            try context.pipeline.syncOperations.addHandler(noise, position: .after(context.handler))
        }
    }

    func channelActive(context: ChannelHandlerContext) {
        wasActive = true
        context.fireChannelActive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        fail(HostError.closedDuringHandshake, context)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard !isFinished, let secured = event as? SecurityEstablished else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        membership = secured.membership
        do {
            try check(secured)
            if let muxer = secured.earlyMuxer, Self.muxers.contains(muxer) {
                try finish(context, remotePeer: secured.remotePeer, muxer: muxer, isEarly: true)
            } else {
                try negotiateMuxer(context, remotePeer: secured.remotePeer)
            }
        } catch {
            fail(error, context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(error, context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(HostError.closedDuringHandshake, context)
        context.fireChannelInactive()
    }

    private func check(_ secured: SecurityEstablished) throws {
        let remotePeer = secured.remotePeer
        guard remotePeer != parameters.keyPair.peerID else {
            throw secured.isOwnHost ? HostError.selfDial : HostError.sharedIdentity
        }
        if let expected = parameters.expectedPeer, expected != remotePeer {
            throw HostError.unexpectedPeer(expected: expected, found: remotePeer)
        }
    }

    private func negotiateMuxer(_ context: ChannelHandlerContext, remotePeer: PeerID) throws {
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let negotiation = MultistreamHandler(role: parameters.role, protocols: Self.muxers) { _, muxer in
            let (upgrader, context) = loopBound.value
            try upgrader.finish(context, remotePeer: remotePeer, muxer: muxer, isEarly: false)
        }
        try context.pipeline.syncOperations.addHandler(negotiation, position: .before(self))
    }

    private func finish(
        _ context: ChannelHandlerContext,
        remotePeer: PeerID,
        muxer muxerID: String,
        isEarly: Bool
    ) throws {
        guard !isFinished, let security else { return }
        let remoteAddress = context.channel.remoteAddress.flatMap(Multiaddr.init(socketAddress:))
        let muxer = YamuxHandler(
            role: parameters.role,
            remotePeer: remotePeer,
            remoteAddress: remoteAddress ?? parameters.remoteAddress,
            settings: parameters.settings,
            handlers: parameters.handlers,
            tasks: parameters.tasks,
            resources: parameters.resources,
            eventLoop: context.eventLoop
        )
        let connection = Connection(
            handler: muxer,
            isInbound: parameters.role == .listener,
            security: security,
            muxer: muxerID,
            hasEarlyMuxer: isEarly,
            membership: membership,
            channel: context.channel
        )
        try context.pipeline.syncOperations.addHandler(muxer, position: .after(self))
        try register(connection)
        isFinished = true
        deadline?.cancel()
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
        promise.succeed(connection)
    }

    private func fail(_ error: any Error, _ context: ChannelHandlerContext) {
        guard !isFinished else { return }
        isFinished = true
        deadline?.cancel()
        if wasActive {
            let reason = self.reason(of: error)
            if reason == .membership { parameters.onOutsider(error) }
            parameters.resources.count { $0.handshakesFailed[reason, default: 0] += 1 }
        }
        promise.fail(error)
        context.close(promise: nil)
    }

    private func reason(of error: any Error) -> HandshakeFailure {
        // A peer without a cluster key has other security protocols.
        if parameters.settings.membership != nil, security == nil, let error = error as? MultistreamError {
            switch error {
            case .noneSupported, .unsupportedProposal: return .membership
            case .malformedLine, .unexpectedHeader, .unexpectedAnswer, .tooManyAttempts: break
            }
        }
        return HandshakeFailure(error, security: security)
    }
}
