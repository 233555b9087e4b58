import LibP2P
import Multiformats
import TestSupport
import Testing
import Time

@testable import Routing

struct IdleStreamsTests {
    private let peers = (0..<3).map { _ in KeyPair().peerID }

    @Test func reusesStreamUntilExpiry() {
        var idle = IdleStreams<Int>(lifetime: .seconds(5), perPeer: 2, inAll: 3)
        let first = idle.put(1, of: peers[0], now: .zero + .seconds(1))
        let second = idle.put(2, of: peers[0], now: .zero + .seconds(2))
        #expect(first && second)
        // The last used one comes first, and no other peer gets it.
        let other = idle.take(peers[1], now: .zero + .seconds(2))
        let latest = idle.take(peers[0], now: .zero + .seconds(2))
        #expect(other == nil && latest == 2)
        let tooLate = idle.take(peers[0], now: .zero + .seconds(6))
        #expect(tooLate == nil && idle.count == 1)
        let early = idle.expire(now: .zero + .milliseconds(5999))
        let expired = idle.expire(now: .zero + .seconds(6))
        #expect(early.isEmpty && expired == [1] && idle.count == 0)
    }

    @Test func rejectsStreamsAboveLimits() {
        var idle = IdleStreams<Int>(lifetime: .seconds(5), perPeer: 2, inAll: 3)
        let kept = [(1, 0), (2, 0), (3, 0), (4, 1), (5, 2)].map { idle.put($0, of: peers[$1], now: .zero) }
        #expect(kept == [true, true, false, true, false])
        let all = idle.removeAll()
        #expect(all.sorted() == [1, 2, 4] && idle.count == 0)
    }

    @Test func returnsEachStreamOnceAtRandom() {
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        var idle = IdleStreams<Int>(lifetime: .seconds(5), perPeer: 3, inAll: 6)
        var kept: Set<Int> = []
        var now = MonotonicTime.zero
        for stream in 0..<5000 {
            let peer = Int.random(in: 0..<3, using: &random)
            now = now + .milliseconds(Int.random(in: 0..<1000, using: &random))
            switch Int.random(in: 0..<3, using: &random) {
            case 0:
                if idle.put(stream, of: peers[peer], now: now) { kept.insert(stream) }
            case 1:
                guard let taken = idle.take(peers[peer], now: now) else { break }
                #expect(kept.remove(taken) != nil, "seed \(seed)")
            default:
                for expired in idle.expire(now: now) { #expect(kept.remove(expired) != nil, "seed \(seed)") }
            }
            #expect(idle.count == kept.count && idle.count <= 6, "seed \(seed)")
        }
    }
}
