import LibP2P
import NIOCore
import Time

extension FuzzTarget {
    /// A yamux session whose program reads, echoes and closes. In the first byte of an input, the highest bit selects
    /// the role, the next one selects limits that inputs can reach, and the lowest ones determine the segmentation.
    static let yamux: [FuzzTarget] = [
        FuzzTarget(
            name: "yamux",
            dictionary: [
                [0, 0, 0, 1, 0, 0, 0, 1], [0, 0, 0, 2], [0, 0, 0, 4], [0, 0, 0, 8], [0, 1, 0, 0], [0, 2, 0, 1],
                [0, 3, 0, 0],
                [0, 1, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 2, 0, 4, 0, 0], [0xFF, 0xFF, 0xFF, 0xFF],
            ],
            samples: {
                try [
                    (YamuxSession.Role.listener, UInt8(0)), (.listener, 7), (.dialer, 0x80), (.dialer, 0x83),
                    (.listener, 0x40), (.dialer, 0xC5),
                ]
                .enumerated().map { number, form in
                    Sample(
                        name: "\(number).bin",
                        bytes: [form.1] + (try session(for: form.0, pings: number % 2 == 1))
                    )
                }
            },
            run: { input in
                let form = input.first ?? 0
                var program = YamuxProgram(hasLowLimits: form & 0x40 != 0)
                var session = YamuxSession(role: form & 0x80 == 0 ? .listener : .dialer, configuration: program.limits)
                program.open(&session)
                for segment in Segments(input) {
                    session.receive(segment)
                    program.answer(&session)
                }
                return !program.hasFailed && program.eventCount > 0
            }
        )
    ]

    /// A peer's frames for a session of this role: streams opened, written to, finished and reset.
    private static func session(for role: YamuxSession.Role, pings: Bool) throws -> [UInt8] {
        var peer = YamuxSession(role: role == .listener ? .dialer : .listener)
        var ids: [UInt32] = []
        for number in 0..<3 {
            let id = try peer.openStream()
            ids.append(id)
            var bytes = ByteBuffer(repeating: UInt8(number), count: 20 * number + 5)
            _ = try peer.write(&bytes, to: id)
        }
        if pings { _ = peer.ping() }
        var bytes: [UInt8] = []
        while let frames = peer.nextOutbound(maxBytes: 4096) { bytes += frames.readableBytesView }
        peer.finish(ids[0])
        peer.reset(ids[1])
        if pings { peer.goAway(.normal) }
        while let frames = peer.nextOutbound(maxBytes: 4096) { bytes += frames.readableBytesView }
        return bytes
    }
}

/// A program over a yamux session that uses each operation.
private struct YamuxProgram {
    private(set) var hasFailed = false
    private(set) var eventCount = 0
    let limits: YamuxConfiguration
    private let maximumWrite: Int

    init(hasLowLimits: Bool) {
        var limits = YamuxConfiguration()
        if hasLowLimits {
            limits.maxInboundStreams = 2
            limits.maxUnacknowledgedStreams = 2
            limits.maxQueuedBytesPerStream = 64
            limits.maxFrameSize = 16
            limits.maxQueuedControlFrames = 4
            limits.maxQueuedBytes = 100
            limits.maxRefusedStreams = 3
        }
        self.limits = limits
        maximumWrite = hasLowLimits ? 40 : 4096
    }

    private static let ownStreams = 2

    /// Opens streams of its own, so that answers to them have a meaning.
    mutating func open(_ session: inout YamuxSession) {
        for _ in 0..<Self.ownStreams {
            guard let id = try? session.openStream() else { continue }
            var bytes = ByteBuffer(repeating: 0x61, count: 300)
            _ = try? session.write(&bytes, to: id)
        }
        drain(&session)
    }

    mutating func answer(_ session: inout YamuxSession) {
        while let event = session.nextEvent() {
            eventCount += 1
            switch event {
            case .opened(let id):
                var bytes = ByteBuffer(repeating: 0x62, count: 64)
                _ = try? session.write(&bytes, to: id)
                if id % 5 == 0 { session.stopReading(id) }
            case .data(let id, let bytes):
                var copy = bytes
                session.consume(bytes.readableBytes, of: id, now: .zero + .milliseconds(eventCount))
                _ = try? session.write(&copy, to: id)
                if id % 7 == 0 { session.reset(id) }
            case .finished(let id): session.finish(id)
            case .failed: hasFailed = true
            case .reset, .writable, .closed, .pong, .goingAway: break
            }
            check(session.streamCount <= limits.maxInboundStreams + Self.ownStreams, "streams are bounded")
        }
        drain(&session)
    }

    /// Drops all outbound bytes.
    private func drain(_ session: inout YamuxSession) {
        while let bytes = session.nextOutbound(maxBytes: maximumWrite) {
            check(bytes.readableBytes <= maximumWrite, "a write is within its maximum")
        }
    }
}
