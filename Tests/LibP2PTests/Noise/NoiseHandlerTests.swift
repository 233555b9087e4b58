import Multiformats
import NIOCore
import NIOEmbedded
import Testing

@testable import LibP2P

/// Records the output at the inner end of a pipeline.
private final class Recorder: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    var event: SecurityEstablished?
    var received: [UInt8] = []
    var receivedBeforeEvent = false
    var errors: [NoiseError] = []
    var wentInactive = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if event == nil { receivedBeforeEvent = true }
        received += Array(unwrapInboundIn(data).readableBytesView)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? SecurityEstablished { self.event = event }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? NoiseError { errors.append(error) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        wentInactive = true
    }
}

@Suite struct NoiseHandlerTests {
    private struct End {
        let channel: EmbeddedChannel
        let recorder: Recorder

        init(
            _ role: NoiseRole,
            _ keyPair: KeyPair,
            expecting peer: PeerID? = nil,
            muxers: [String] = ["/yamux/1.0.0"]
        ) throws {
            channel = EmbeddedChannel()
            recorder = Recorder()
            let handler = NoiseHandler(keyPair: keyPair, role: role, expectedPeer: peer, muxers: muxers)
            try channel.pipeline.syncOperations.addHandlers([handler, recorder])
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        }

        /// Everything written and flushed, as one buffer.
        func takeOutput() throws -> ByteBuffer {
            var all = ByteBuffer()
            while var next = try channel.readOutbound(as: ByteBuffer.self) { all.writeBuffer(&next) }
            return all
        }

        func write(_ bytes: [UInt8]) {
            channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
        }
    }

    private let alice = KeyPair()
    private let bob = KeyPair()

    /// Passes bytes between both ends until both are silent, in pieces of at most `size`.
    private func pump(_ first: End, _ second: End, size: Int = .max) throws {
        var moved = true
        while moved {
            moved = false
            for (from, to) in [(first, second), (second, first)] {
                var bytes = try from.takeOutput()
                while let piece = bytes.readSlice(length: min(size, bytes.readableBytes)), piece.readableBytes > 0 {
                    moved = true
                    try to.channel.writeInbound(piece)
                }
            }
        }
    }

    @Test(arguments: [1, 7, 1000, Int.max])
    func backToBack(size: Int) throws {
        let dialler = try End(.initiator, alice, expecting: bob.peerID)
        let listener = try End(.responder, bob)
        try pump(dialler, listener, size: size)
        #expect(
            dialler.recorder.event == SecurityEstablished(remotePublicKey: bob.publicKey, earlyMuxer: "/yamux/1.0.0")
        )
        #expect(listener.recorder.event?.remotePeer == alice.peerID)
        #expect(listener.recorder.event?.earlyMuxer == "/yamux/1.0.0")

        dialler.write([1, 2, 3])
        listener.write([4, 5])
        try pump(dialler, listener, size: size)
        #expect(listener.recorder.received == [1, 2, 3])
        #expect(dialler.recorder.received == [4, 5])
        #expect(dialler.recorder.errors.isEmpty && listener.recorder.errors.isEmpty)
    }

    @Test func splitsLongWrites() throws {
        let dialler = try End(.initiator, alice)
        let listener = try End(.responder, bob)
        try pump(dialler, listener)
        var generator = NoiseTestGenerator()
        for count in [65518, 65519, 65520, 2 * 65519, 200_000] {
            let bytes = generator.bytes(count)
            listener.recorder.received = []
            let written = dialler.channel.writeAndFlush(ByteBuffer(bytes: bytes))
            dialler.channel.embeddedEventLoop.run()
            try written.wait()
            let output = try dialler.takeOutput()
            #expect(output.readableBytes == count + (count + 65518) / 65519 * 18)
            try listener.channel.writeInbound(output)
            #expect(listener.recorder.received == bytes, generator.comment)
        }
    }

    @Test func emptyWriteSendsNothing() throws {
        let dialler = try End(.initiator, alice)
        let listener = try End(.responder, bob)
        try pump(dialler, listener)
        try dialler.channel.writeAndFlush(ByteBuffer()).wait()
        #expect(try dialler.takeOutput().readableBytes == 0)
    }

    @Test func dataBehindLastMessageArrives() throws {
        let dialler = try End(.initiator, alice)
        let listener = try End(.responder, bob)
        try listener.channel.writeInbound(dialler.takeOutput())
        try dialler.channel.writeInbound(listener.takeOutput())
        #expect(dialler.recorder.event != nil)
        dialler.write([42])
        dialler.write([43])
        // The third handshake message and two frames, all in one read.
        try listener.channel.writeInbound(dialler.takeOutput())
        #expect(listener.recorder.event != nil)
        #expect(listener.recorder.received == [42, 43])
        #expect(!listener.recorder.receivedBeforeEvent)
    }

    @Test func earlyWritesWaitForHandshake() throws {
        let dialler = try End(.initiator, alice)
        let listener = try End(.responder, bob)
        let written = dialler.channel.writeAndFlush(ByteBuffer(bytes: [9, 9]))
        try pump(dialler, listener)
        try written.wait()
        #expect(listener.recorder.received == [9, 9])
    }

    @Test func limitsEarlyWrites() throws {
        let dialler = try End(.initiator, alice)
        let limit = NoiseHandler.maximumEarlyWrites
        let kept = dialler.channel.writeAndFlush(ByteBuffer(repeating: 1, count: limit))
        #expect(throws: NoiseError.tooMuchBuffered(limit: limit)) {
            try dialler.channel.writeAndFlush(ByteBuffer(bytes: [1])).wait()
        }
        _ = try dialler.channel.finish(acceptAlreadyClosed: true)
        #expect(throws: NoiseError.connectionClosed) { try kept.wait() }
    }

    @Test func diallerSendsItsIDToUnexpectedPeer() throws {
        let other = KeyPair().peerID
        let dialler = try End(.initiator, alice, expecting: other)
        let listener = try End(.responder, bob)
        try pump(dialler, listener)
        #expect(dialler.recorder.errors == [.unexpectedPeer(expected: other, actual: bob.peerID)])
        #expect(dialler.recorder.event == nil)
        #expect(listener.recorder.event?.remotePeer == alice.peerID)
        dialler.channel.embeddedEventLoop.run()
        #expect(dialler.recorder.wentInactive)
    }

    @Test func listenerRejectsUnexpectedPeer() throws {
        let other = KeyPair().peerID
        let dialler = try End(.initiator, alice)
        let listener = try End(.responder, bob, expecting: other)
        try pump(dialler, listener)
        #expect(listener.recorder.errors == [.unexpectedPeer(expected: other, actual: alice.peerID)])
        listener.channel.embeddedEventLoop.run()
        #expect(listener.recorder.wentInactive)
    }

    @Test func changedFrameEndsConnection() throws {
        let dialler = try End(.initiator, alice)
        let listener = try End(.responder, bob)
        try pump(dialler, listener)
        dialler.write([1, 2, 3])
        var bytes = Array(try dialler.takeOutput().readableBytesView)
        bytes[4] ^= 1
        try listener.channel.writeInbound(ByteBuffer(bytes: bytes))
        #expect(listener.recorder.errors == [.authenticationFailed])
        #expect(listener.recorder.received.isEmpty)
        listener.channel.embeddedEventLoop.run()
        #expect(listener.recorder.wentInactive)
        #expect(throws: (any Error).self) { try listener.channel.writeAndFlush(ByteBuffer(bytes: [1])).wait() }
    }

    @Test func frameTooShortForTagEndsConnection() throws {
        let dialler = try End(.initiator, alice)
        let listener = try End(.responder, bob)
        try pump(dialler, listener)
        try listener.channel.writeInbound(ByteBuffer(bytes: [0, 0]))
        #expect(listener.recorder.errors == [.messageTooShort(expected: 16, actual: 0)])
    }

    @Test func rejectsLongHandshakeFrameByItsLength() throws {
        let listener = try End(.responder, bob)
        try listener.channel.writeInbound(ByteBuffer(bytes: [0xFF, 0xFF]))
        #expect(listener.recorder.errors == [.messageTooLong(limit: 8192, actual: 65535)])
        listener.channel.embeddedEventLoop.run()
        #expect(listener.recorder.wentInactive)
    }

    @Test func connectionLostInHandshakeIsAnError() throws {
        let dialler = try End(.initiator, alice)
        _ = try dialler.channel.finish(acceptAlreadyClosed: true)
        #expect(dialler.recorder.errors == [.connectionClosed])
    }

    @Test func neverTrapsOnRandomBytes() throws {
        var generator = NoiseTestGenerator()
        for _ in 0..<100 {
            let role: NoiseRole = Bool.random(using: &generator) ? .initiator : .responder
            let end = try End(role, alice)
            for _ in 0..<5 where end.channel.isActive {
                var bytes = generator.bytes(Int.random(in: 1...200, using: &generator))
                // Short frames are complete, so that they are decoded.
                bytes[0] = 0
                try end.channel.writeInbound(ByteBuffer(bytes: bytes))
                end.channel.embeddedEventLoop.run()
            }
            #expect(end.recorder.event == nil, generator.comment)
            _ = try? end.channel.finish(acceptAlreadyClosed: true)
        }
    }
}
