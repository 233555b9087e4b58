import NIOCore
import TestSupport
import Testing

@testable import LibP2P

/// Two sessions over a simulated connection that splits and delays bytes at random.
@Suite struct YamuxPropertyTests {
    private struct Peer {
        var session: YamuxSession
        var unsent: [UInt32: ByteBuffer] = [:]
        var sent: [UInt32: [UInt8]] = [:]
        var received: [UInt32: [UInt8]] = [:]
        var unconsumed: [UInt32: Int] = [:]
        var finished: Set<UInt32> = []
        var closed: Set<UInt32> = []
        var wire = ByteBuffer()
    }

    private func random(_ count: Int, _ generator: inout SeededGenerator) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }

    /// Handles the events of a peer's session. Each opened stream is answered with random bytes.
    private func handleEvents(of peer: inout Peer, seed: UInt64, _ generator: inout SeededGenerator) {
        while let event = peer.session.nextEvent() {
            switch event {
            case .opened(let id):
                give(Int.random(in: 0...600_000, using: &generator), to: id, of: &peer, &generator)
            case .data(let id, let bytes):
                peer.received[id, default: []] += bytes.readableBytesView
                peer.unconsumed[id, default: 0] += bytes.readableBytes
                #expect(peer.unconsumed[id, default: 0] <= YamuxConfiguration.initialWindow, "seed \(seed)")
            case .finished(let id): peer.finished.insert(id)
            case .closed(let id): peer.closed.insert(id)
            case .writable: break
            case .reset, .pong, .goingAway, .failed: Issue.record("unexpected \(event), seed \(seed)")
            }
        }
    }

    private func give(_ count: Int, to id: UInt32, of peer: inout Peer, _ generator: inout SeededGenerator) {
        let filler = random(251, &generator)
        let bytes = (0..<count).map { filler[$0 % 251] &+ UInt8(truncatingIfNeeded: $0 >> 8) }
        peer.unsent[id] = ByteBuffer(bytes: bytes)
        peer.sent[id] = bytes
    }

    private func act(_ peer: inout Peer, other: inout Peer, seed: UInt64, _ generator: inout SeededGenerator) throws {
        switch Int.random(in: 0..<4, using: &generator) {
        case 0:
            if let id = peer.unsent.keys.sorted().randomElement(using: &generator), var bytes = peer.unsent[id] {
                let all = bytes.readableBytes
                var part = bytes.readSlice(length: Int.random(in: 0...all, using: &generator)) ?? ByteBuffer()
                _ = try peer.session.write(&part, to: id)
                part.writeBuffer(&bytes)
                peer.unsent[id] = part
                if part.readableBytes == 0 {
                    peer.session.finish(id)
                    peer.unsent[id] = nil
                }
            }
        case 1:
            if let bytes = peer.session.nextOutbound(maxBytes: Int.random(in: 24...70_000, using: &generator)) {
                other.wire.writeImmutableBuffer(bytes)
            }
        case 2:
            let count = Int.random(in: 0...min(peer.wire.readableBytes, 100_000), using: &generator)
            if let bytes = peer.wire.readSlice(length: count) { peer.session.receive(bytes) }
            peer.wire.discardReadBytes()
        default:
            if let id = peer.unconsumed.keys.sorted().randomElement(using: &generator) {
                let count = Int.random(in: 0...peer.unconsumed[id, default: 0], using: &generator)
                peer.unconsumed[id, default: 0] -= count
                peer.session.consume(count, of: id)
            }
        }
        handleEvents(of: &peer, seed: seed, &generator)
        #expect(peer.session.checkInvariants() == nil, "seed \(seed)")
    }

    @Test(arguments: 0..<12)
    func allBytesArriveInOrderAtRandom(round: Int) throws {
        let seed = 0xC0FFEE &+ UInt64(round)
        var generator = SeededGenerator(seed: seed)
        var dialer = Peer(session: YamuxSession(role: .dialer))
        var listener = Peer(session: YamuxSession(role: .listener))
        var opened = 0
        let total = Int.random(in: 1...6, using: &generator)
        var steps = 0
        while opened < total || dialer.closed.count + listener.closed.count < 2 * total {
            steps += 1
            try #require(steps < 2_000_000, "too many steps, seed \(seed)")
            if opened < total, Int.random(in: 0..<50, using: &generator) == 0 {
                opened += 1
                let size = Int.random(in: 0...600_000, using: &generator)
                if Bool.random(using: &generator) {
                    give(size, to: try dialer.session.openStream(), of: &dialer, &generator)
                } else {
                    give(size, to: try listener.session.openStream(), of: &listener, &generator)
                }
            }
            if Bool.random(using: &generator) {
                try act(&dialer, other: &listener, seed: seed, &generator)
            } else {
                try act(&listener, other: &dialer, seed: seed, &generator)
            }
        }
        for id in dialer.closed {
            #expect(listener.received[id, default: []] == dialer.sent[id, default: []], "seed \(seed), stream \(id)")
            #expect(dialer.received[id, default: []] == listener.sent[id, default: []], "seed \(seed), stream \(id)")
        }
        #expect(dialer.session.streamCount == 0 && listener.session.streamCount == 0, "seed \(seed)")
    }

    @Test func neverTrapsOnRandomInput() {
        let seed: UInt64 = 0xDEAD_BEEF
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<3000 {
            var session = YamuxSession(role: Bool.random(using: &generator) ? .dialer : .listener)
            _ = try? session.openStream()
            var input = ByteBuffer()
            for _ in 0..<Int.random(in: 1...12, using: &generator) {
                // Mostly well-formed headers with odd contents, which reach deeper than noise.
                input.writeInteger(UInt8(Int.random(in: 0..<40, using: &generator) == 0 ? 1 : 0))
                input.writeInteger(UInt8.random(in: 0...4, using: &generator))
                input.writeInteger(UInt16.random(in: 0...15, using: &generator))
                input.writeInteger(UInt32.random(in: 0...5, using: &generator))
                let length = UInt32.random(in: 0...64, using: &generator)
                input.writeInteger(Int.random(in: 0..<10, using: &generator) == 0 ? UInt32.max - length : length)
                for _ in 0..<Int.random(in: 0...Int(length), using: &generator) { input.writeInteger(UInt8(0)) }
            }
            while let part = input.readSlice(
                length: min(input.readableBytes, Int.random(in: 1...40, using: &generator))
            ),
                part.readableBytes > 0
            {
                session.receive(part)
                while let event = session.nextEvent() {
                    if case .opened(let id) = event, Bool.random(using: &generator) { session.reset(id) }
                }
                if Bool.random(using: &generator) { _ = session.nextOutbound(maxBytes: 100) }
            }
            #expect(session.streamCount <= 257, "seed \(seed)")
        }
    }
}
