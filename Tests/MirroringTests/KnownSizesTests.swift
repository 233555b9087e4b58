import Mirroring
import OCI
import Testing
import Time

struct KnownSizesTests {
    private let now = MonotonicTime(nanoseconds: 5)
    /// As `KnownSizes` has it.
    private let limit = 8192

    private func descriptor(_ number: Int, size: Int64) throws -> Descriptor {
        Descriptor(mediaType: .octetStream, digest: try testDigest(number), size: size)
    }

    @Test func sizesAreKnownFromManifests() throws {
        var book = ContentBook()
        let digest = try testDigest(-1)
        book.record(.named([try descriptor(-1, size: 7), try descriptor(-2, size: 8)]), now: now)
        #expect(book.size(of: digest, now: now) == 7)
        #expect(book.size(of: try testDigest(-2), now: now) == 8)
        #expect(book.size(of: try testDigest(-3), now: now) == nil)
        for number in 0..<3 * limit {
            book.record(.named([try descriptor(number, size: Int64(number))]), now: now + .nanoseconds(Int64(number)))
            #expect(book.size(of: try testDigest(number), now: now) == Int64(number))
        }
        #expect(book.counts.sizes == limit && book.size(of: digest, now: now) == nil)
        // Those that were learnt last are known.
        #expect(book.size(of: try testDigest(2 * limit), now: now) == Int64(2 * limit))
        #expect(book.checkInvariants(now: now))
    }
}
