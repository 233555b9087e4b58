import Logging
import Multiformats
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import Testing

@testable import LibP2P

extension LoopbackTests {
    @Suite struct TLSHostTests {
        /// Two hosts with settings of their own; the first dials.
        private func withPair(
            _ dialer: @escaping (inout HostConfiguration) -> Void,
            _ listener: @escaping (inout HostConfiguration) -> Void = { _ in },
            _ body: (Host, Host) async throws -> Void
        ) async throws {
            try await withHosts(1, configure: dialer) { dialers in
                try await withHosts(1, configure: listener) { listeners in
                    try await body(dialers[0], listeners[0])
                }
            }
        }

        private func expectAgreement(
            _ dialer: Host,
            _ listener: Host,
            security: SecurityProtocol,
            early: Bool,
            sourceLocation: SourceLocation = #_sourceLocation
        ) async throws {
            #expect(try await dialer.ping(listener.info) > .zero, sourceLocation: sourceLocation)
            let outbound = try #require(dialer.connections(with: listener.peerID).first)
            let inbound = try #require(listener.connections(with: dialer.peerID).first)
            #expect(!outbound.isInbound && inbound.isInbound, sourceLocation: sourceLocation)
            for info in [outbound, inbound] {
                #expect(info.security == security.protocolID, sourceLocation: sourceLocation)
                #expect(info.muxer == "/yamux/1.0.0", sourceLocation: sourceLocation)
                #expect(info.hasEarlyMuxer == early, sourceLocation: sourceLocation)
                #expect(info.age >= .zero, sourceLocation: sourceLocation)
            }
            #expect(listener.listenAddresses == [outbound.remoteAddress], sourceLocation: sourceLocation)
        }

        @Test(arguments: SecurityProtocol.open)
        func usesOnlySecurityProtocolOfDialer(security: SecurityProtocol) async throws {
            try await withPair({ $0.securities = [security] }) { dialer, listener in
                try await expectAgreement(dialer, listener, security: security, early: true)
            }
        }

        @Test(arguments: SecurityProtocol.open)
        func usesOnlySecurityProtocolOfListener(security: SecurityProtocol) async throws {
            try await withPair({ _ in }, { $0.securities = [security] }) { dialer, listener in
                try await expectAgreement(dialer, listener, security: security, early: true)
            }
        }

        @Test func prefersTLS() async throws {
            try await withHosts(2) { hosts in
                try await expectAgreement(hosts[0], hosts[1], security: .tls, early: true)
            }
        }

        @Test(arguments: SecurityProtocol.open, [true, false])
        func negotiatesMuxerWhenOneSideDoesNotOfferItEarly(security: SecurityProtocol, isDialer: Bool) async throws {
            let late: (inout HostConfiguration) -> Void = {
                $0.securities = [security]
                $0.offersEarlyMuxer = false
            }
            try await withPair(isDialer ? late : { $0.securities = [security] }, isDialer ? { _ in } : late) {
                try await expectAgreement($0, $1, security: security, early: false)
            }
        }

        @Test func failsWithoutCommonSecurityProtocol() async throws {
            try await withPair({ $0.securities = [.tls] }, { $0.securities = [.noise] }) { dialer, listener in
                await #expect(throws: HostError.self) { try await dialer.connect(to: listener.info) }
                try await eventually { listener.state.withLock { $0.table.pendingInboundCount } == 0 }
                #expect(listener.connectedPeers.isEmpty)
            }
        }

        @Test(arguments: SecurityProtocol.open)
        func rejectsUnexpectedPeer(security: SecurityProtocol) async throws {
            try await withPair({ $0.securities = [security] }) { dialer, listener in
                let address = try #require(listener.listenAddresses.first)
                let error = await #expect(throws: HostError.self) {
                    try await dialer.dial(address, expecting: KeyPair().peerID)
                }
                guard case .unexpectedPeer(_, found: listener.peerID)? = error else {
                    Issue.record("expected the error to name the peer, found \(String(describing: error))")
                    return
                }
                #expect(dialer.connectedPeers.isEmpty)
                try await eventually { listener.connectedPeers.isEmpty }
            }
        }

        @Test(arguments: SecurityProtocol.open)
        func streamsTransferMebibytes(security: SecurityProtocol) async throws {
            try await withPair({ $0.securities = [security] }) { dialer, listener in
                listener.setHandler(for: "/echo", echo)
                let stream = try await dialer.openStream(to: listener.info, protocols: ["/echo"])
                let sent = ByteBuffer(bytes: (0..<4_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) })
                async let writing: Void = stream.write(sent)
                var received = ByteBuffer()
                while received.readableBytes < sent.readableBytes {
                    let part = try #require(try await stream.read(upTo: 1 << 20))
                    received.writeImmutableBuffer(part)
                }
                try await writing
                #expect(received == sent)
                stream.close()
            }
        }

        /// A TLS client without libp2p, behind the negotiation of the security protocol.
        private func connect(
            to host: Host,
            _ configure: (inout TLSConfiguration) throws -> Void
        ) async throws -> (channel: any Channel, answer: EventLoopFuture<ByteBuffer>) {
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.applicationProtocols = ["libp2p"]
            configuration.certificateVerification = .none
            try configure(&configuration)
            let context = try NIOSSLContext(configuration: configuration)
            var hello = ByteBuffer()
            Multistream.write(Multistream.header, to: &hello)
            Multistream.write(SecurityProtocol.tls.protocolID, to: &hello)
            let negotiation = hello
            let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
            let promise = eventLoop.makePromise(of: ByteBuffer.self)
            let channel = try await ClientBootstrap(group: eventLoop)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let beginner = TLSBeginner(negotiation: negotiation, context: context)
                        try channel.pipeline.syncOperations.addHandlers([beginner, AnswerCollector(promise)])
                    }
                }
                .connect(host: "127.0.0.1", port: host.port).get()
            return (channel, promise.futureResult)
        }

        @Test func rejectsClientsWithoutCertificate() async throws {
            try await withHosts(1) { hosts in
                let (channel, _) = try await connect(to: hosts[0]) { _ in }
                try await channel.closeFuture.get()
                #expect(hosts[0].connectedPeers.isEmpty)
            }
        }

        /// As a node of Spegel in Go does that dials to learn an id: it refuses the certificate once it has seen it.
        @Test func dialerThatOnlyLearnsTheIDIsNoFailureOfTLS() async throws {
            try await withHosts(1) { hosts in
                let (channel, _) = try await connect(to: hosts[0]) { $0.certificateVerification = .fullVerification }
                try await channel.closeFuture.get()
                try await eventually { !hosts[0].statistics.handshakesFailed.isEmpty }
                #expect(hosts[0].statistics.handshakesFailed == [.aborted: 1])
            }
        }

        @Test func rejectsOldTLSVersions() async throws {
            try await withHosts(1) { hosts in
                let (channel, _) = try await connect(to: hosts[0]) { $0.maximumTLSVersion = .tlsv12 }
                try await channel.closeFuture.get()
                #expect(hosts[0].connectedPeers.isEmpty)
            }
        }

        @Test(arguments: [1, 2])
        func rejectsCertificateChains(count: Int) async throws {
            try await withHosts(1) { hosts in
                let own = try TLSCertificate(identity: KeyPair())
                let certificate = try NIOSSLCertificate(bytes: own.der, format: .der)
                let (channel, answer) = try await connect(to: hosts[0]) {
                    $0.certificateChain = Array(repeating: .certificate(certificate), count: count)
                    $0.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: own.privateKey, format: .der))
                }
                if count == 1 {
                    // The listener continues with the negotiation of the muxer.
                    #expect(String(buffer: try await answer.get()).contains(Multistream.header))
                    try? await channel.close()
                } else {
                    try await channel.closeFuture.get()
                    #expect(hosts[0].connectedPeers.isEmpty)
                }
            }
        }
    }
}

/// Proposes TLS, drops the listener's agreement, and begins the TLS handshake.
private final class TLSBeginner: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    private let negotiation: ByteBuffer
    private let tls: NIOSSLContext
    private var rest: Int

    init(negotiation: ByteBuffer, context: NIOSSLContext) {
        self.negotiation = negotiation
        tls = context
        rest = negotiation.readableBytes
    }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(NIOAny(negotiation), promise: nil)
        do {
            let handler = try NIOSSLClientHandler(context: tls, serverHostname: nil)
            try context.pipeline.syncOperations.addHandler(handler, position: .after(self))
        } catch {
            context.fireErrorCaught(error)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        let skipped = min(rest, bytes.readableBytes)
        bytes.moveReaderIndex(forwardBy: skipped)
        rest -= skipped
        if bytes.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(bytes)) }
    }
}

/// Collects the first bytes received through TLS.
private final class AnswerCollector: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let first: EventLoopPromise<ByteBuffer>

    init(_ promise: EventLoopPromise<ByteBuffer>) { first = promise }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        first.succeed(unwrapInboundIn(data))
    }

    func channelInactive(context: ChannelHandlerContext) {
        first.fail(ChannelError.eof)
    }
}
