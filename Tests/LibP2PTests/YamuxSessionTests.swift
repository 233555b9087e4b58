import NIOCore
import Testing

@testable import LibP2P

@Suite struct YamuxSessionTests {
    private func frame(
        _ kind: YamuxFrameHeader.Kind,
        _ flags: YamuxFrameHeader.Flags = [],
        stream: UInt32,
        length: Int,
        body: Int? = nil
    ) -> ByteBuffer {
        var buffer = ByteBuffer()
        YamuxFrameHeader(kind: kind, flags: flags, streamID: stream, length: UInt32(length)).write(to: &buffer)
        if kind == .data { buffer.writeRepeatingByte(7, count: body ?? length) }
        return buffer
    }

    private func events(_ session: inout YamuxSession) -> [YamuxSession.Event] {
        var events: [YamuxSession.Event] = []
        while let event = session.nextEvent() { events.append(event) }
        return events
    }

    /// The headers of all frames that a session sends.
    private func sent(_ session: inout YamuxSession, maxBytes: Int = 65519) -> [YamuxFrameHeader] {
        var headers: [YamuxFrameHeader] = []
        while var bytes = session.nextOutbound(maxBytes: maxBytes) {
            #expect(bytes.readableBytes <= maxBytes)
            while let header = try? YamuxFrameHeader.read(from: &bytes) {
                headers.append(header)
                if header.kind == .data { bytes.moveReaderIndex(forwardBy: Int(header.length)) }
            }
        }
        return headers
    }

    private func expectFailure(
        _ inputs: ByteBuffer...,
        role: YamuxSession.Role = .listener,
        configuration: YamuxConfiguration = YamuxConfiguration(),
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        var session = YamuxSession(role: role, configuration: configuration)
        for input in inputs { session.receive(input) }
        guard case .failed = events(&session).last else {
            Issue.record("expected the session to fail", sourceLocation: sourceLocation)
            return
        }
        let headers = sent(&session)
        #expect(
            headers.last == YamuxFrameHeader(kind: .goAway, flags: [], streamID: 0, length: 1),
            sourceLocation: sourceLocation
        )
        // No further input is handled or reported.
        session.receive(frame(.windowUpdate, .syn, stream: 99, length: 0))
        #expect(session.nextEvent() == nil && session.streamCount == 0, sourceLocation: sourceLocation)
    }

    @Test func headerHasTheSpecifiedLayout() throws {
        var buffer = frame(.windowUpdate, [.syn, .fin], stream: 0x0102_0304, length: 0x0A0B_0C0D)
        #expect(Array(buffer.readableBytesView) == [0, 1, 0, 5, 1, 2, 3, 4, 0x0A, 0x0B, 0x0C, 0x0D])
        let header = try YamuxFrameHeader.read(from: &buffer)
        #expect(header?.streamID == 0x0102_0304 && header?.flags == [.syn, .fin])
        #expect(try YamuxFrameHeader.read(from: &buffer) == nil)
    }

    @Test func idsAreOddForTheDialerAndEvenForTheListener() throws {
        var dialer = YamuxSession(role: .dialer)
        var listener = YamuxSession(role: .listener)
        #expect(try [dialer.openStream(), dialer.openStream()] == [1, 3])
        #expect(try [listener.openStream(), listener.openStream()] == [2, 4])
        #expect(sent(&dialer).map(\.flags) == [.syn, .syn])
    }

    @Test func acknowledgesOpeningAndEndsStreamInOrder() throws {
        var dialer = YamuxSession(role: .dialer)
        var listener = YamuxSession(role: .listener)
        let id = try dialer.openStream()
        var bytes = ByteBuffer(string: "hello")
        #expect(try dialer.write(&bytes, to: id))
        dialer.finish(id)
        while let out = dialer.nextOutbound(maxBytes: 100) { listener.receive(out) }
        #expect(
            events(&listener) == [.opened(1), .data(1, ByteBuffer(string: "hello")), .finished(1)]
        )
        listener.finish(id)
        #expect(sent(&listener).map(\.flags) == [.ack, .fin])
        #expect(events(&listener) == [.closed(1)])
        dialer.receive(frame(.windowUpdate, .ack, stream: 1, length: 0))
        dialer.receive(frame(.windowUpdate, .fin, stream: 1, length: 0))
        #expect(events(&dialer) == [.finished(1), .closed(1)])
        #expect(dialer.streamCount == 0 && listener.streamCount == 0)
        #expect(dialer.unacknowledgedCount == 0 && listener.inboundCount == 0)
    }

    @Test func resetsInboundStreamsAboveLimit() {
        var configuration = YamuxConfiguration()
        configuration.maxInboundStreams = 2
        var session = YamuxSession(role: .listener, configuration: configuration)
        for id: UInt32 in [1, 3, 5] { session.receive(frame(.windowUpdate, .syn, stream: id, length: 0)) }
        #expect(events(&session) == [.opened(1), .opened(3)])
        #expect(sent(&session).first == YamuxFrameHeader(kind: .windowUpdate, flags: .rst, streamID: 5, length: 0))
        // The end of one stream makes room for another.
        session.receive(frame(.windowUpdate, .rst, stream: 1, length: 0))
        session.receive(frame(.data, .syn, stream: 7, length: 3))
        #expect(events(&session) == [.reset(1), .opened(7), .data(7, ByteBuffer(repeating: 7, count: 3))])
    }

    @Test func openingStopsAtAcknowledgementBacklog() throws {
        var configuration = YamuxConfiguration()
        configuration.maxUnacknowledgedStreams = 2
        var session = YamuxSession(role: .dialer, configuration: configuration)
        _ = try session.openStream()
        let second = try session.openStream()
        #expect(throws: YamuxError.tooManyUnacknowledgedStreams(limit: 2)) { try session.openStream() }
        session.receive(frame(.windowUpdate, .ack, stream: 1, length: 0))
        #expect(try session.openStream() == 5)
        session.reset(second)
        #expect(try session.openStream() == 7)
    }

    @Test func violationsEndSession() {
        expectFailure(ByteBuffer(bytes: [1] + [UInt8](repeating: 0, count: 11)))
        expectFailure(ByteBuffer(bytes: [0, 4] + [UInt8](repeating: 0, count: 10)))
        expectFailure(frame(.data, .syn, stream: 0, length: 1))
        expectFailure(frame(.windowUpdate, .syn, stream: 2, length: 0))
        expectFailure(frame(.windowUpdate, .syn, stream: 1, length: 0), role: .dialer)
        let opening = frame(.windowUpdate, .syn, stream: 1, length: 0)
        expectFailure(opening, opening)
        expectFailure(opening, frame(.windowUpdate, stream: 1, length: Int(UInt32.max)))
        expectFailure(opening, frame(.windowUpdate, .fin, stream: 1, length: 0), frame(.data, stream: 1, length: 1))
        expectFailure(frame(.ping, .syn, stream: 1, length: 0))
        expectFailure(frame(.goAway, stream: 1, length: 0))
    }

    @Test func dataAboveWindowEndsSession() {
        let window = YamuxConfiguration.initialWindow
        let opening = frame(.windowUpdate, .syn, stream: 1, length: 0)
        expectFailure(opening, frame(.data, stream: 1, length: window + 1, body: 0))
        expectFailure(opening, frame(.data, stream: 1, length: window), frame(.data, stream: 1, length: 1))
        // Also for a stream that no longer exists.
        expectFailure(frame(.data, stream: 1, length: YamuxConfiguration().maxReceiveWindow + 1, body: 0))
    }

    @Test func updatesWindowAfterHalfIsConsumed() {
        var session = YamuxSession(role: .listener)
        session.receive(frame(.windowUpdate, .syn, stream: 1, length: 0))
        _ = sent(&session)
        session.receive(frame(.data, stream: 1, length: YamuxConfiguration.initialWindow))
        session.consume(YamuxConfiguration.initialWindow / 2 - 1, of: 1)
        #expect(sent(&session).isEmpty)
        session.consume(1, of: 1)
        let half = UInt32(YamuxConfiguration.initialWindow / 2)
        #expect(sent(&session) == [YamuxFrameHeader(kind: .windowUpdate, flags: [], streamID: 1, length: half)])
        session.receive(frame(.data, stream: 1, length: Int(half)))
        #expect(session.failure == nil)
        session.receive(frame(.data, stream: 1, length: 1))
        #expect(session.failure != nil)
    }

    @Test func openingGrantsLargerReceiveWindow() throws {
        var configuration = YamuxConfiguration()
        configuration.receiveWindow = 1024 * 1024
        var session = YamuxSession(role: .dialer, configuration: configuration)
        _ = try session.openStream()
        #expect(
            sent(&session) == [
                YamuxFrameHeader(kind: .windowUpdate, flags: .syn, streamID: 1, length: 768 * 1024)
            ]
        )
        session.receive(frame(.data, stream: 1, length: 1024 * 1024))
        #expect(session.failure == nil)
    }

    @Test func sendingStopsAtWindowAndQueueAtLimit() throws {
        var configuration = YamuxConfiguration()
        configuration.maxQueuedBytesPerStream = 300 * 1024
        var session = YamuxSession(role: .dialer, configuration: configuration)
        let id = try session.openStream()
        var bytes = ByteBuffer(repeating: 1, count: 400 * 1024)
        #expect(try session.write(&bytes, to: id) == false)
        #expect(bytes.readableBytes == 100 * 1024)
        let data = sent(&session).filter { $0.kind == .data }
        #expect(data.reduce(0) { $0 + Int($1.length) } == YamuxConfiguration.initialWindow)
        #expect(data.allSatisfy { $0.length <= 16 * 1024 })
        #expect(events(&session) == [.writable(id)])
        session.receive(frame(.windowUpdate, stream: id, length: 10))
        #expect(sent(&session).map(\.length) == [10])
    }

    @Test func streamsTakeTurns() throws {
        var session = YamuxSession(role: .dialer)
        let ids = try (0..<4).map { _ in try session.openStream() }
        for id in ids {
            var bytes = ByteBuffer(repeating: 1, count: 64 * 1024)
            #expect(try session.write(&bytes, to: id))
        }
        let order = sent(&session).filter { $0.kind == .data }.map(\.streamID)
        // No stream sends a second frame before each other one has sent one.
        for start in stride(from: 0, to: order.count - 3, by: 4) {
            #expect(Set(order[start..<start + 4]) == Set(ids))
        }
    }

    @Test func answersPingsUpToLimit() {
        var session = YamuxSession(role: .listener)
        session.receive(frame(.ping, .syn, stream: 0, length: 42))
        #expect(sent(&session) == [YamuxFrameHeader(kind: .ping, flags: .ack, streamID: 0, length: 42)])
        let value = session.ping()
        session.receive(frame(.ping, .ack, stream: 0, length: Int(value)))
        #expect(events(&session) == [.pong(value)])
        var configuration = YamuxConfiguration()
        configuration.maxQueuedControlFrames = 3
        let ping = frame(.ping, .syn, stream: 0, length: 1)
        expectFailure(ping, ping, ping, ping, configuration: configuration)
    }

    @Test func goAwayStopsOpening() throws {
        var session = YamuxSession(role: .dialer)
        session.receive(frame(.goAway, stream: 0, length: 0))
        #expect(events(&session) == [.goingAway(.normal)])
        #expect(throws: YamuxError.goingAway) { try session.openStream() }

        var leaving = YamuxSession(role: .listener)
        leaving.goAway(.normal)
        leaving.receive(frame(.windowUpdate, .syn, stream: 1, length: 0))
        #expect(events(&leaving).isEmpty)
        #expect(sent(&leaving).map(\.kind) == [.goAway, .windowUpdate])
        #expect(throws: YamuxError.goingAway) { try leaving.openStream() }
    }

    @Test func dropsDataOfRemovedStreams() throws {
        var session = YamuxSession(role: .dialer)
        let id = try session.openStream()
        _ = sent(&session)
        session.reset(id)
        #expect(sent(&session).map(\.flags) == [.rst])
        session.receive(frame(.data, stream: id, length: 1000))
        session.receive(frame(.ping, .syn, stream: 0, length: 5))
        #expect(session.failure == nil && session.nextEvent() == nil)
        #expect(sent(&session).map(\.length) == [5])
    }

    @Test func streamResetBeforeItsFirstFrameSendsNothing() throws {
        var session = YamuxSession(role: .dialer)
        session.reset(try session.openStream())
        #expect(sent(&session).isEmpty && session.unacknowledgedCount == 0)
    }

    /// Openings and resets of one id take no memory while nothing can be sent.
    @Test func reopeningOneIDAccumulatesNothing() {
        var session = YamuxSession(role: .listener)
        for _ in 0..<10_000 {
            session.receive(frame(.windowUpdate, .syn, stream: 1, length: 0))
            session.receive(frame(.windowUpdate, .rst, stream: 1, length: 0))
            _ = events(&session)
        }
        #expect(session.round.count <= 1 && session.controlFrames.isEmpty && session.streamCount == 0)
    }

    @Test func writingAfterEndThrows() throws {
        var session = YamuxSession(role: .dialer)
        let id = try session.openStream()
        session.finish(id)
        var bytes = ByteBuffer(string: "late")
        #expect(throws: YamuxError.streamNotWritable(id)) { try session.write(&bytes, to: id) }
    }

    @Test func grantsDiscardedBytesAgain() {
        var session = YamuxSession(role: .listener)
        session.receive(frame(.windowUpdate, .syn, stream: 1, length: 0))
        _ = (sent(&session), events(&session))
        session.stopReading(1)
        session.receive(frame(.data, stream: 1, length: YamuxConfiguration.initialWindow))
        #expect(session.nextEvent() == nil)
        #expect(sent(&session).map(\.length) == [UInt32(YamuxConfiguration.initialWindow)])
    }
}
