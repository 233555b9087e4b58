import NIOCore
import TestSupport
import Testing
import Time

@testable import LibP2P

/// The limits of a session, and the growth of its windows.
@Suite struct YamuxLimitTests {
    private func frame(
        _ kind: YamuxFrameHeader.Kind,
        _ flags: YamuxFrameHeader.Flags = [],
        stream: UInt32,
        length: Int,
        body: Int = 0
    ) -> ByteBuffer {
        var buffer = ByteBuffer()
        YamuxFrameHeader(kind: kind, flags: flags, streamID: stream, length: UInt32(length)).write(to: &buffer)
        buffer.writeRepeatingByte(7, count: body)
        return buffer
    }

    private func events(_ session: inout YamuxSession) -> [YamuxSession.Event] {
        var all: [YamuxSession.Event] = []
        while let event = session.nextEvent() { all.append(event) }
        return all
    }

    private func sent(_ session: inout YamuxSession) -> [YamuxFrameHeader] {
        var headers: [YamuxFrameHeader] = []
        while var bytes = session.nextOutbound(maxBytes: 65519) {
            while let header = try? YamuxFrameHeader.read(from: &bytes) {
                headers.append(header)
                if header.kind == .data { bytes.moveReaderIndex(forwardBy: Int(header.length)) }
            }
        }
        return headers
    }

    /// A session with streams that the peer opened, and a round-trip time.
    private func session(
        streams: Int,
        _ configuration: YamuxConfiguration = YamuxConfiguration()
    ) -> YamuxSession {
        var session = YamuxSession(role: .listener, configuration: configuration)
        for index in 0..<streams {
            session.receive(frame(.windowUpdate, .syn, stream: UInt32(2 * index + 1), length: 0))
        }
        _ = events(&session)
        _ = sent(&session)
        return session
    }

    /// Lets the peer fill the window of a stream, and consumes it all. Returns the newly granted window.
    private func turn(_ session: inout YamuxSession, stream: UInt32 = 1, at time: MonotonicTime) throws -> Int {
        let window = try #require(session.streams[stream]?.receiveWindow)
        session.receive(frame(.data, stream: stream, length: window, body: window))
        _ = events(&session)
        session.consume(window, of: stream, now: time)
        return sent(&session).filter { $0.kind == .windowUpdate }.reduce(0) { $0 + Int($1.length) }
    }

    @Test func windowGrowsWhileItLimitsSender() throws {
        var session = session(streams: 1)
        session.roundTripTime = .milliseconds(10)
        var time = MonotonicTime.zero
        var windows: [Int] = []
        for _ in 0..<5 {
            time = time + .milliseconds(39)
            windows.append(try turn(&session, at: time))
        }
        let kibibyte = 1024
        // The first update has no earlier one to compare with.
        #expect(windows.map { $0 / kibibyte } == [256, 512, 1024, 1024, 1024])
        #expect(session.streams[1]?.receiveWindowTarget == 1024 * kibibyte)
        #expect(session.windowGrowth == 768 * kibibyte)
        session.reset(1)
        #expect(session.windowGrowth == 0)
    }

    @Test func windowOfSlowReaderStays() throws {
        var session = session(streams: 1)
        session.roundTripTime = .milliseconds(10)
        var time = MonotonicTime.zero
        for _ in 0..<5 {
            time = time + .milliseconds(40)
            #expect(try turn(&session, at: time) == YamuxConfiguration.initialWindow)
        }
        // Without a known round-trip time no window grows.
        session.roundTripTime = nil
        #expect(try turn(&session, at: time + .nanoseconds(1)) == YamuxConfiguration.initialWindow)
    }

    @Test func growthOfAllWindowsIsLimited() throws {
        var configuration = YamuxConfiguration()
        configuration.maxWindowGrowth = 1024 * 1024
        var session = session(streams: 4, configuration)
        session.roundTripTime = .milliseconds(10)
        var time = MonotonicTime.zero
        for _ in 0..<6 {
            for stream in [1, 3, 5, 7] as [UInt32] {
                time = time + .milliseconds(1)
                _ = try turn(&session, stream: stream, at: time)
            }
        }
        #expect(session.windowGrowth == 1024 * 1024)
        let targets = session.streams.values.map(\.receiveWindowTarget)
        #expect(targets.reduce(0, +) == 4 * YamuxConfiguration.initialWindow + 1024 * 1024)
        #expect(targets.allSatisfy { $0 <= configuration.maxReceiveWindow })
    }

    @Test func queueOfAllStreamsIsLimited() throws {
        var configuration = YamuxConfiguration()
        configuration.maxQueuedBytes = 100 * 1024
        var session = YamuxSession(role: .dialer, configuration: configuration)
        let (first, second) = (try session.openStream(), try session.openStream())
        var bytes = ByteBuffer(repeating: 1, count: 64 * 1024)
        #expect(try session.write(&bytes, to: first))
        bytes = ByteBuffer(repeating: 2, count: 64 * 1024)
        #expect(try session.write(&bytes, to: second) == false)
        #expect(bytes.readableBytes == 28 * 1024 && session.queuedBytes == 100 * 1024)
        _ = sent(&session)
        #expect(session.queuedBytes == 0)
        #expect(events(&session) == [.writable(second)])
        #expect(try session.write(&bytes, to: second))
        session.reset(second)
        #expect(session.queuedBytes == 0)
    }

    @Test func wakesWriterWithEmptyQueueOfItsOwn() throws {
        var configuration = YamuxConfiguration()
        configuration.maxQueuedBytes = 64 * 1024
        var session = YamuxSession(role: .dialer, configuration: configuration)
        let (first, second) = (try session.openStream(), try session.openStream())
        var bytes = ByteBuffer(repeating: 1, count: 64 * 1024)
        #expect(try session.write(&bytes, to: first))
        bytes = ByteBuffer(repeating: 2, count: 1)
        #expect(try session.write(&bytes, to: second) == false)
        session.reset(first)
        #expect(events(&session) == [.writable(second)])
    }

    @Test func queuedBytesMatchQueuesAtRandom() throws {
        let seed = UInt64.random(in: .min ... .max)
        var generator = SeededGenerator(seed: seed)
        var configuration = YamuxConfiguration()
        configuration.maxQueuedBytes = 150_000
        var session = YamuxSession(role: .dialer, configuration: configuration)
        for _ in 0..<2000 {
            let id = session.streams.keys.sorted().randomElement(using: &generator)
            switch Int.random(in: 0..<6, using: &generator) {
            case 0 where session.streamCount < 8: _ = try session.openStream()
            case 1: if let id { session.reset(id) }
            case 2: if let id { session.finish(id) }
            case 3:
                if let id, session.streams[id]?.isFinishRequested == false {
                    var bytes = ByteBuffer(repeating: 1, count: Int.random(in: 0...70_000, using: &generator))
                    _ = try session.write(&bytes, to: id)
                }
            case 4: _ = session.nextOutbound(maxBytes: Int.random(in: 24...65519, using: &generator))
            default:
                if let id { session.receive(frame(.windowUpdate, .ack, stream: id, length: 100_000)) }
            }
            let queued = session.streams.values.reduce(0) { $0 + $1.queuedBytes }
            #expect(session.queuedBytes == queued && queued <= configuration.maxQueuedBytes, "seed \(seed)")
            _ = events(&session)
        }
    }

    @Test func endsSessionOnStreamFlood() {
        var configuration = YamuxConfiguration()
        configuration.maxInboundStreams = 1
        configuration.maxRefusedStreams = 10
        var session = session(streams: 11, configuration)
        #expect(session.refusedCount == 10 && session.failure == nil)
        session.receive(frame(.windowUpdate, .syn, stream: 101, length: 0))
        #expect(events(&session) == [.failed(.streamFlood(limit: 10))])
    }

    @Test func endsSessionOnControlFlood() {
        var session = session(streams: 0)
        for value in 0...YamuxConfiguration().maxQueuedControlFrames {
            session.receive(frame(.ping, .syn, stream: 0, length: value))
        }
        #expect(events(&session) == [.failed(.controlFlood(limit: YamuxConfiguration().maxQueuedControlFrames))])
    }
}
