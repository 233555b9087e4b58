import Mirroring
import OCI
import TestSupport
import Testing
import Time

struct MissedContentTests {
    private let start = MonotonicTime(nanoseconds: 1_000_000_000)
    /// As `MissedContent` has them.
    private let lifetime = Duration.seconds(3600)
    private let limit = 4096

    private func arrive(_ digest: Digest, _ size: Int64, in book: inout ContentBook, now: MonotonicTime? = nil)
        -> [SourceArrival]
    {
        book.arrived([digest: size], size: { $0 }, now: now ?? start)
    }

    @Test func missedContentThatThenArrivesIsFromTheSource() throws {
        var book = ContentBook()
        let digest = try testDigest(1)
        let unasked = arrive(digest, 100, in: &book)
        #expect(unasked.isEmpty)
        // Two clients ask for the same; it comes once.
        for _ in 0..<2 { book.record(.missed(digest, from: 0, registry: "docker.io"), now: start) }
        let other = arrive(try testDigest(2), 5, in: &book)
        #expect(other.isEmpty)
        let came = arrive(digest, 100, in: &book, now: start + .seconds(59 * 60))
        #expect(came == [SourceArrival(registry: "docker.io", bytes: 100)])
        let again = arrive(digest, 100, in: &book)
        #expect(again.isEmpty && book.counts.misses == 0)
    }

    @Test func whatOtherNodesGaveOfItIsNot() throws {
        var book = ContentBook()
        let digest = try testDigest(1)
        // The answer of a node was truncated after 30 bytes, and no other had the rest.
        book.record(.missed(digest, from: 30, registry: "r"), now: start)
        let rest = arrive(digest, 100, in: &book)
        #expect(rest.map(\.bytes) == [70])
        // No node had it, but then one gave the end.
        book.record(.missed(digest, from: 0, registry: "r"), now: start)
        book.record(.delivered(digest, from: 80), now: start)
        let beginning = arrive(digest, 100, in: &book)
        #expect(beginning.map(\.bytes) == [80])
        // Then one gave all of it.
        book.record(.missed(digest, from: 0, registry: "r"), now: start)
        book.record(.delivered(digest, from: 0), now: start)
        let nothing = arrive(digest, 100, in: &book)
        #expect(nothing.isEmpty)
    }

    @Test func oneListingMayEndManyMisses() throws {
        for (missed, held) in [(3, 10), (10, 3)] {
            var book = ContentBook()
            for number in 0..<missed {
                book.record(.missed(try testDigest(number), from: 0, registry: "r"), now: start)
            }
            let contents = try (0..<held).map { (try testDigest($0), Int64($0 + 1)) }
            let came = book.arrived(Dictionary(uniqueKeysWithValues: contents), size: { $0 }, now: start)
            #expect(came.map(\.bytes).sorted() == [1, 2, 3])
            #expect(book.counts.misses == max(0, missed - held) && book.checkInvariants(now: start))
        }
    }

    @Test(arguments: [Int64.min, -1, 0, 1, .max]) func noSizeIsTooOdd(_ size: Int64) throws {
        for from in [0, 1, Int64.max] {
            var book = ContentBook()
            book.record(.missed(try testDigest(1), from: from, registry: "r"), now: start)
            let came = arrive(try testDigest(1), size, in: &book)
            #expect(came.map(\.bytes) == (size > from ? [size - from] : []))
        }
        // Nor is a place.
        var book = ContentBook()
        book.record(.missed(try testDigest(1), from: size, registry: "r"), now: start)
        book.record(.delivered(try testDigest(1), from: size), now: start)
        #expect(book.checkInvariants(now: start))
        _ = arrive(try testDigest(1), size, in: &book)
    }

    @Test func missesAreForgottenInTimeAndBoundedInNumber() throws {
        var book = ContentBook()
        book.record(.missed(try testDigest(0), from: 0, registry: "r"), now: start)
        let late = arrive(try testDigest(0), 9, in: &book, now: start + lifetime)
        #expect(late.isEmpty)
        for number in 0..<(3 * limit) {
            let now = start + .milliseconds(number)
            book.record(.missed(try testDigest(number), from: 0, registry: "r"), now: now)
            #expect(book.counts.misses <= limit)
        }
        // The oldest gave way.
        let newest = arrive(try testDigest(3 * limit - 1), 9, in: &book, now: start + .seconds(60))
        #expect(newest.count == 1)
        let oldest = arrive(try testDigest(0), 9, in: &book, now: start + .seconds(60))
        #expect(oldest.isEmpty)
    }
}
