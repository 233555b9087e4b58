import Crypto
internal import FoundationEssentials
import Membership
import Multiformats
import NIOCore

/// Secures a channel by Noise: runs the handshake when the channel becomes active, then encrypts writes and decrypts
/// reads.
///
/// After the handshake it fires the user inbound event ``SecurityEstablished``. On a failure it fires a ``NoiseError``
/// as a caught error and closes the channel. It has no deadline; the owner must limit the time until the event.
public final class NoiseHandler: ChannelDuplexHandler, RemovableChannelHandler {
    /// Frames in arbitrary segments.
    public typealias InboundIn = ByteBuffer
    /// Decrypted data.
    public typealias InboundOut = ByteBuffer
    /// Data to encrypt.
    public typealias OutboundIn = ByteBuffer
    /// Frames.
    public typealias OutboundOut = ByteBuffer

    /// The maximum length of plaintext that fits one frame with its tag, in bytes. Longer writes are split.
    public static let maximumPlaintextLength = NoiseFrameDecoder.maximumFrameLength - NoiseCipherState.tagLength
    /// The maximum number of bytes that are buffered before the end of the handshake.
    public static let maximumEarlyWrites = 64 * 1024

    private enum Phase {
        case idle, handshake, established, closed
    }

    private var phase = Phase.idle
    private var handshake: NoiseHandshake
    private var session: NoiseSession?
    private var decoder = NoiseFrameDecoder()
    private var earlyWrites: [(data: ByteBuffer, promise: EventLoopPromise<Void>?)] = []
    private var earlyByteCount = 0

    /// A handler for one connection.
    ///
    /// - Parameters:
    ///   - keyPair: the identity of this end.
    ///   - staticKey: the Noise key of this end.
    ///   - role: the role of this end.
    ///   - expectedPeer: the expected peer; `nil` for any.
    ///   - muxers: the muxers to offer within the handshake, the preferred one first.
    ///   - membership: the cluster keys of which the peer must have one, if it must.
    public init(
        keyPair: KeyPair,
        staticKey: Curve25519.KeyAgreement.PrivateKey = .init(),
        role: NoiseRole,
        expectedPeer: PeerID?,
        muxers: [String],
        membership: ClusterKeys? = nil
    ) {
        handshake = NoiseHandshake(
            role: role,
            keyPair: keyPair,
            expectedPeer: expectedPeer,
            muxers: muxers,
            membership: membership,
            staticKey: staticKey
        )
    }

    // MARK: Channel life cycle

    /// Begins the handshake if the channel is already active.
    public func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { start(context) }
    }

    /// Begins the handshake.
    public func channelActive(context: ChannelHandlerContext) {
        start(context)
        context.fireChannelActive()
    }

    /// Reports an incomplete handshake.
    public func channelInactive(context: ChannelHandlerContext) {
        if phase == .idle || phase == .handshake {
            fail(.connectionClosed, context)
        }
        phase = .closed
        failEarlyWrites(ChannelError.ioOnClosedChannel)
        context.fireChannelInactive()
    }

    /// Fails unsent writes.
    public func handlerRemoved(context: ChannelHandlerContext) {
        phase = .closed
        failEarlyWrites(ChannelError.ioOnClosedChannel)
    }

    private func start(_ context: ChannelHandlerContext) {
        guard phase == .idle else { return }
        phase = .handshake
        do throws(NoiseError) {
            if let message = try handshake.start() {
                context.writeAndFlush(wrapOutboundOut(frame(message, context)), promise: nil)
            }
        } catch {
            fail(error, context)
        }
    }

    private func fail(_ error: NoiseError, _ context: ChannelHandlerContext) {
        guard phase != .closed else { return }
        phase = .closed
        failEarlyWrites(error)
        context.fireErrorCaught(error)
        context.close(promise: nil)
    }

    // MARK: Inbound

    /// Continues the handshake, then decrypts data.
    public func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard phase != .closed else { return }
        decoder.append(unwrapInboundIn(data))
        do throws(NoiseError) {
            // Firing may close the channel or remove this handler, so check the phase each time.
            while phase == .handshake, let frame = try decoder.next(limit: NoiseHandshake.maximumMessageLength) {
                try proceed(frame, context)
            }
            while phase == .established, let frame = try decoder.next() {
                try reveal(frame, context)
            }
        } catch {
            fail(error, context)
        }
    }

    private func proceed(_ message: ByteBuffer, _ context: ChannelHandlerContext) throws(NoiseError) {
        switch try handshake.receive(Array(message.readableBytesView)) {
        case .reply(let reply):
            context.writeAndFlush(wrapOutboundOut(frame(reply, context)), promise: nil)
        case .complete(let reply, let session):
            if let reply {
                context.writeAndFlush(wrapOutboundOut(frame(reply, context)), promise: nil)
            }
            self.session = session
            phase = .established
            writeEarlyWrites(context)
            let event = SecurityEstablished(
                remotePublicKey: session.remotePublicKey,
                earlyMuxer: session.earlyMuxer,
                membership: session.membership,
                isOwnHost: handshake.isWithOwnHost
            )
            context.fireUserInboundEventTriggered(event)
        case .reject(let reply, let error):
            // Closing at once could discard the message that tells the remote the id of this node.
            phase = .closed
            failEarlyWrites(error)
            let written = context.writeAndFlush(wrapOutboundOut(frame(reply, context)))
            let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
            written.whenComplete { _ in bound.value.close(promise: nil) }
            context.fireErrorCaught(error)
        }
    }

    private func reveal(_ frame: ByteBuffer, _ context: ChannelHandlerContext) throws(NoiseError) {
        let plaintext: Data
        do {
            let revealed = try frame.withUnsafeReadableBytes { bytes in
                try session?.receiving.decrypt(bytes, authenticating: [UInt8]())
            }
            plaintext = revealed ?? Data()
        } catch let error as NoiseError {
            throw error
        } catch {
            throw .authenticationFailed
        }
        guard !plaintext.isEmpty else { return }
        var buffer = context.channel.allocator.buffer(capacity: plaintext.count)
        buffer.writeBytes(plaintext)
        context.fireChannelRead(wrapInboundOut(buffer))
    }

    // MARK: Outbound

    /// Encrypts data, or buffers it until the handshake is done.
    public func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let plaintext = unwrapOutboundIn(data)
        switch phase {
        case .established:
            protect(plaintext, promise, context)
        case .idle, .handshake:
            let (count, overflow) = earlyByteCount.addingReportingOverflow(plaintext.readableBytes)
            guard !overflow, count <= Self.maximumEarlyWrites else {
                promise?.fail(NoiseError.tooMuchBuffered(limit: Self.maximumEarlyWrites))
                return
            }
            earlyByteCount = count
            earlyWrites.append((plaintext, promise))
        case .closed:
            promise?.fail(NoiseError.failedBefore)
        }
    }

    private func protect(_ data: ByteBuffer, _ promise: EventLoopPromise<Void>?, _ context: ChannelHandlerContext) {
        var plaintext = data
        let frameCount = plaintext.readableBytes / Self.maximumPlaintextLength + 1
        let overhead = frameCount * (2 + NoiseCipherState.tagLength)
        var output = context.channel.allocator.buffer(capacity: plaintext.readableBytes + overhead)
        do {
            while let piece = plaintext.readSlice(
                length: min(plaintext.readableBytes, Self.maximumPlaintextLength)
            ), piece.readableBytes > 0 {
                let box = try piece.withUnsafeReadableBytes { bytes in
                    try session?.sending.encrypt(bytes, authenticating: [UInt8]())
                }
                guard let box else { throw NoiseError.outOfTurn }
                output.writeInteger(UInt16(truncatingIfNeeded: box.ciphertext.count + box.tag.count))
                output.writeBytes(box.ciphertext)
                output.writeBytes(box.tag)
            }
        } catch {
            promise?.fail(error)
            fail(error as? NoiseError ?? .nonceExhausted, context)
            return
        }
        context.write(wrapOutboundOut(output), promise: promise)
    }

    private func writeEarlyWrites(_ context: ChannelHandlerContext) {
        let writes = earlyWrites
        earlyWrites = []
        earlyByteCount = 0
        for (data, promise) in writes {
            protect(data, promise, context)
        }
        if !writes.isEmpty {
            context.flush()
        }
    }

    private func failEarlyWrites(_ error: any Error) {
        let writes = earlyWrites
        earlyWrites = []
        earlyByteCount = 0
        for (_, promise) in writes {
            promise?.fail(error)
        }
    }

    private func frame(_ message: [UInt8], _ context: ChannelHandlerContext) -> ByteBuffer {
        var buffer = context.channel.allocator.buffer(capacity: 2 + message.count)
        buffer.writeInteger(UInt16(truncatingIfNeeded: message.count))
        buffer.writeBytes(message)
        return buffer
    }
}
