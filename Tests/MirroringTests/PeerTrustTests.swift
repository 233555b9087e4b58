import Mirroring
import Testing
import Time

struct PeerTrustTests {
    private let now = MonotonicTime(nanoseconds: 5)

    @Test func peerThatSentWrongBytesIsBannedFromThemAndHashedOtherwise() throws {
        let (one, other) = (try testDigest(1), try testDigest(2))
        var book = PeerBook(progressTimeout: .seconds(2))
        book.record(.sentWrongBytes(one), of: "a", now: now)
        book.record(.mayHaveSentWrongBytes(one), of: "b", now: now)
        func standings(_ time: MonotonicTime) -> [PeerStanding] {
            [("a", one), ("a", other), ("b", one), ("b", other), ("c", one)].map {
                book.standing(of: $0.0, $0.1, now: time)
            }
        }
        #expect(standings(now) == [.banned, .distrusted, .suspect, .trusted, .trusted])
        let last = now + (PeerTrust.duration - .nanoseconds(1))
        #expect(standings(last) == [.banned, .distrusted, .suspect, .trusted, .trusted])
        #expect(standings(now + PeerTrust.duration) == [.distrusted, .distrusted, .trusted, .trusted, .trusted])
        #expect(standings(now + PeerTrust.distrustDuration) == [.trusted, .trusted, .trusted, .trusted, .trusted])
        #expect(PeerStanding.trusted < .distrusted && .distrusted < .suspect && .suspect < .banned)
    }

    /// A repeated request proves nothing, but it does not make a peer better either.
    @Test func doubtedPeerKeepsWhatIsKnownOfIt() throws {
        let (one, other) = (try testDigest(1), try testDigest(2))
        var book = PeerBook(progressTimeout: .seconds(2))
        for peer in ["a", "b", "c", "d"] { book.record(.isDoubted(one), of: peer, now: now) }
        book.record(.sentWrongBytes(other), of: "b", now: now)
        book.record(.mayHaveSentWrongBytes(one), of: "c", now: now)
        book.record(.sentWrongBytes(one), of: "d", now: now)
        let standings = ["a", "b", "c", "d"].map { book.standing(of: $0, one, now: now) }
        #expect(standings == [.doubted, .suspect, .suspect, .banned])
        #expect(book.standing(of: "a", other, now: now) == .trusted)
        #expect(book.standing(of: "a", one, now: now + PeerTrust.duration) == .trusted)
        for standing in [PeerStanding.trusted, .distrusted, .doubted, .suspect, .banned] {
            #expect(standing.whenAskedAgain > standing || standing.whenAskedAgain == standing)
            #expect(standing.whenAskedAgain.whenAskedAgain == standing.whenAskedAgain)
        }
    }

    @Test func requestsToManyOthersDoNotLiftABan() throws {
        let digest = try testDigest(1)
        var book = PeerBook(progressTimeout: .seconds(2))
        book.record(.sentWrongBytes(digest), of: "a", now: now)
        for number in 0..<5 * PeerBook.limit {
            book.record(.requestStarted, of: "\(number)", now: now)
            book.record(.requestEnded, of: "\(number)", now: now)
        }
        #expect(book.standing(of: "a", digest, now: now) == .banned)
    }

    @Test func bansAreBounded() throws {
        let digest = try testDigest(1)
        var trust = PeerTrust()
        for number in 0...PeerTrust.limit {
            trust.ban("\(number)", digest, now: now + .nanoseconds(Int64(number)))
            trust.suspect("\(number)", try testDigest(2), now: now + .nanoseconds(Int64(number)))
        }
        let later = now + .seconds(1)
        // The oldest gave way.
        #expect(trust.standing(of: "0", digest, now: later) == .trusted)
        #expect(trust.standing(of: "\(PeerTrust.limit)", digest, now: later) == .banned)
        #expect(try trust.standing(of: "\(PeerTrust.limit)", testDigest(2), now: later) == .suspect)
        #expect(trust.checkInvariants())
    }
}
