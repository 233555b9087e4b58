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

    @Test func registryIsKnownFromManifestsThatHaveOne() throws {
        var book = ContentBook()
        let registry = try #require(RegistryName("quay.io"))
        let descriptor = try descriptor(1, size: 7)
        #expect(book.registry(of: descriptor.digest, now: now) == nil)
        book.record(.named([descriptor], registry: registry), now: now)
        #expect(book.registry(of: descriptor.digest, now: now) == registry)
        // A manifest that was asked for without a registry says nothing.
        book.record(.named([descriptor], registry: nil), now: now)
        #expect(
            book.registry(of: descriptor.digest, now: now) == registry
                && book.size(of: descriptor.digest, now: now) == 7
        )
    }

    @Test func sizesAreKnownFromManifests() throws {
        var book = ContentBook()
        let digest = try testDigest(-1)
        book.record(.named([try descriptor(-1, size: 7), try descriptor(-2, size: 8)], registry: nil), now: now)
        #expect(book.size(of: digest, now: now) == 7)
        #expect(book.size(of: try testDigest(-2), now: now) == 8)
        #expect(book.size(of: try testDigest(-3), now: now) == nil)
        for number in 0..<3 * limit {
            let time = now + .nanoseconds(Int64(number))
            book.record(.named([try descriptor(number, size: Int64(number))], registry: nil), now: time)
            #expect(book.size(of: try testDigest(number), now: now) == Int64(number))
        }
        #expect(book.counts.sizes == limit && book.size(of: digest, now: now) == nil)
        // Those that were learnt last are known.
        #expect(book.size(of: try testDigest(2 * limit), now: now) == Int64(2 * limit))
        #expect(book.checkInvariants(now: now))
    }
}
