import NIOCore
import OCI
import Routing
import TestSupport
import Testing

@testable import Registry

/// What is remembered of peers, clients and deliveries, without I/O.
struct PeerTrustTests {
    private let now = NIODeadline.uptimeNanoseconds(5)

    @Test func whoSentWrongBytesIsNotAskedForThemAndHashedOtherwise() throws {
        let (one, other) = (try makeContent(1).digest, try makeContent(2).digest)
        var trust = PeerTrust()
        trust.bar("a", one, now: now)
        trust.suspect("b", one, now: now)
        func standings(_ time: NIODeadline) -> [PeerTrust.Standing] {
            var copy = trust
            return [("a", one), ("a", other), ("b", one), ("b", other), ("c", one)].map {
                copy.standing(of: $0.0, $0.1, now: time)
            }
        }
        #expect(standings(now) == [.barred, .distrusted, .suspect, .trusted, .trusted])
        let later = now + PeerTrust.duration
        #expect(standings(later - .nanoseconds(1)) == [.barred, .distrusted, .suspect, .trusted, .trusted])
        #expect(standings(later) == [.distrusted, .distrusted, .trusted, .trusted, .trusted])
        #expect(standings(now + PeerTrust.distrustDuration) == [.trusted, .trusted, .trusted, .trusted, .trusted])
    }

    @Test func aSetThatIsFullForgetsWhatEndsFirst() {
        var set = ExpiringSet<Int>(limit: 10)
        for number in 0...10 { set.insert(number, until: now + .seconds(Int64(number)), now: now) }
        let isFirst = set.contains(0, now: now)
        let isLast = set.contains(10, now: now)
        #expect(set.count == 10 && !isFirst && isLast)
        // Those that have ended make room first.
        set.insert(11, until: now + .seconds(60), now: now + .seconds(5))
        #expect(set.count == 6)
    }

    @Test func aClientThatHasAllAsksAgain() throws {
        let digest = try makeContent(1).digest
        let key = Deliveries.Key(client: "10.0.0.1", digest: digest)
        var deliveries = Deliveries()
        deliveries.note(key, 0..<60, size: 100, from: ["a"], now: now)
        #expect(deliveries.suspects(key, now: now).isEmpty)
        // It goes on where it was, or a little before.
        deliveries.note(key, 50..<100, size: 100, from: ["b", "a"], now: now)
        #expect(deliveries.suspects(key, now: now) == ["a", "b"])
        #expect(deliveries.suspects(Deliveries.Key(client: "10.0.0.2", digest: digest), now: now).isEmpty)
        #expect(deliveries.suspects(key, now: now + Deliveries.duration).isEmpty)
        // What is found right once more is no reason for suspicion for a while.
        deliveries.settle(key, right: ["b"], now: now)
        #expect(deliveries.suspects(key, now: now).isEmpty)
        deliveries.note(key, 0..<100, size: 100, from: ["b"], now: now)
        #expect(deliveries.suspects(key, now: now).isEmpty)
        deliveries.note(key, 0..<100, size: 100, from: ["a"], now: now)
        #expect(deliveries.suspects(key, now: now) == ["a"])
        deliveries.note(key, 0..<100, size: 100, from: ["b"], now: now + Deliveries.duration)
        #expect(deliveries.suspects(key, now: now + Deliveries.duration) == ["b"])
    }

    /// Only who has got each byte is taken for a client that found something wrong.
    @Test(arguments: 0..<200)
    func onlyWholeDeliveriesCount(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let key = Deliveries.Key(client: "c", digest: try makeContent(1).digest)
        var deliveries = Deliveries()
        let size: Int64 = 20
        var got: Set<Int64> = []
        for _ in 0..<20 {
            let start = Int64.random(in: 0..<size, using: &random)
            let end = Int64.random(in: start...size, using: &random)
            deliveries.note(key, start..<end, size: size, from: ["p"], now: now)
            got.formUnion(start..<end)
            if !deliveries.suspects(key, now: now).isEmpty { #expect(got.count == Int(size), "seed \(seed)") }
        }
    }

    /// A client that fetches several parts at a time has them in any order.
    @Test func partsMayEndInAnyOrder() throws {
        var random = SeededGenerator()
        let key = Deliveries.Key(client: "c", digest: try makeContent(1).digest)
        for _ in 0..<100 {
            var deliveries = Deliveries()
            let parts = (0..<Int64(8)).map { $0 * 10..<($0 * 10 + 10) }.shuffled(using: &random)
            for part in parts {
                #expect(deliveries.suspects(key, now: now).isEmpty, "seed \(random.seed)")
                deliveries.note(key, part, size: 80, from: ["p"], now: now)
            }
            #expect(deliveries.suspects(key, now: now) == ["p"], "seed \(random.seed)")
        }
        // Of one that picks here and there not all is remembered.
        var deliveries = Deliveries()
        for number in 0..<Int64(1000) {
            deliveries.note(key, number * 2..<(number * 2 + 1), size: 2000, from: ["p"], now: now)
        }
        for number in 0..<Int64(1000) {
            deliveries.note(key, number * 2 + 1..<(number * 2 + 2), size: 2000, from: ["p"], now: now)
        }
        #expect(deliveries.suspects(key, now: now).isEmpty)
    }

    @Test func deliveriesAndProvidersAreBounded() throws {
        var deliveries = Deliveries()
        var recent = RecentProviders()
        let digest = try makeContent(1).digest
        for number in 0..<2 * Deliveries.limit {
            let time = now + .nanoseconds(Int64(number))
            let key = Deliveries.Key(client: "\(number)", digest: digest)
            deliveries.note(key, 0..<1, size: 1, from: (0..<20).map { "\($0)" }, now: time)
            #expect(deliveries.suspects(key, now: time).count == Deliveries.maximumSources)
            recent.note(Provider(peerID: "p", addresses: []), of: "\(number)", now: time)
        }
        #expect(deliveries.count == Deliveries.limit && recent.count == RecentProviders.limit)
    }

    @Test func sizesAreKnownFromManifests() throws {
        var sizes = KnownSizes()
        let digest = try makeContent(1).digest
        sizes.note([Descriptor(mediaType: .octetStream, digest: digest, size: 7)])
        #expect(sizes.size(digest) == 7)
        let request = MirrorTransfer.Request(isHead: false, kind: .blob, digest: digest, range: nil, size: 7)
        let right = try PeerResponseHead(status: 200, contentLength: 7).content(asked: .whole, for: request)
        #expect(right.content.size == 7)
        #expect(throws: PeerRefusal.wrongLength(6, expected: 7)) {
            try PeerResponseHead(status: 200, contentLength: 6).content(asked: .whole, for: request)
        }
        #expect(throws: PeerRefusal.wrongLength(8, expected: 7)) {
            let head = PeerResponseHead(status: 206, contentLength: 2, contentRange: "bytes 2-3/8")
            return try head.content(asked: .range(.closed(first: 2, last: 3)), for: request)
        }
        let outside = PeerResponseHead(status: 416, contentRange: "bytes */6")
        #expect(outside.unsatisfiableSize(asked: .range(.from(6)), known: 7) == nil)
        #expect(outside.unsatisfiableSize(asked: .range(.from(6))) == 6)
        for number in 0..<3 * KnownSizes.limit {
            let bytes = (0..<32).map { UInt8(truncatingIfNeeded: number >> ($0 * 8 % 64)) }
            let other = try #require(Digest(algorithm: .sha256, bytes: bytes))
            sizes.note([Descriptor(mediaType: .octetStream, digest: other, size: Int64(number))])
            #expect(sizes.size(other) == Int64(number))
        }
        #expect(sizes.count <= 2 * KnownSizes.limit && sizes.size(digest) == nil)
    }

    @Test func aRecentProviderIsLookedForAnewNowAndThen() {
        var recent = RecentProviders()
        let (one, other) = (Provider(peerID: "1", addresses: []), Provider(peerID: "2", addresses: []))
        recent.note(one, of: "k", now: now)
        recent.note(one, of: "k", now: now + .seconds(29))
        let before = recent.provider(of: "k", now: now + .seconds(29))
        let after = recent.provider(of: "k", now: now + RecentProviders.duration)
        #expect(before == one && after == nil)
        recent.note(one, of: "k", now: now)
        recent.note(other, of: "k", now: now)
        recent.forget("1", of: "k")
        let kept = recent.provider(of: "k", now: now)
        recent.forget("2", of: "k")
        let gone = recent.provider(of: "k", now: now)
        #expect(kept == other && gone == nil)
    }
}
