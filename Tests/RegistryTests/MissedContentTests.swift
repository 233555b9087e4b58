import ContentStore
import NIOCore
import OCI
import Routing
import TestSupport
import Testing

@testable import Registry

struct MissedContentTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    private func digest(_ number: Int) throws -> Digest {
        let digits = String(number)
        return try Digest("sha256:" + String(repeating: "0", count: 64 - digits.count) + digits)
    }

    private func held(_ digest: Digest, _ size: Int64) -> [Digest: ContentIndex.Entry] {
        [digest: ContentIndex.Entry(size: size, mediaType: nil)]
    }

    @Test func whatNobodyHadAndThenCameIsFromTheSource() throws {
        var missed = MissedContent()
        let digest = try digest(1)
        let unasked = missed.arrived(held(digest, 100), now: start)
        #expect(unasked.isEmpty)
        // Two clients ask for the same; it comes once.
        missed.note(digest, from: 0, registry: "docker.io", now: start)
        missed.note(digest, from: 0, registry: "docker.io", now: start)
        let other = missed.arrived(held(try self.digest(2), 5), now: start)
        #expect(other.isEmpty)
        let came = missed.arrived(held(digest, 100), now: start + .minutes(59))
        #expect(came == [.init(registry: "docker.io", bytes: 100)])
        let again = missed.arrived(held(digest, 100), now: start)
        #expect(again.isEmpty && missed.count == 0)
    }

    @Test func whatOtherNodesGaveOfItIsNot() throws {
        var missed = MissedContent()
        let digest = try digest(1)
        // The answer of a node was cut short after 30 bytes, and nobody had the rest.
        missed.note(digest, from: 30, registry: "r", now: start)
        let rest = missed.arrived(held(digest, 100), now: start)
        #expect(rest.map(\.bytes) == [70])
        // Nobody had it, but then somebody gave the end.
        missed.note(digest, from: 0, registry: "r", now: start)
        missed.delivered(digest, from: 80)
        let beginning = missed.arrived(held(digest, 100), now: start)
        #expect(beginning.map(\.bytes) == [80])
        // Then somebody gave all of it.
        missed.note(digest, from: 0, registry: "r", now: start)
        missed.delivered(digest, from: 0)
        let nothing = missed.arrived(held(digest, 100), now: start)
        #expect(nothing.isEmpty)
    }

    @Test(arguments: [Int64.min, -1, 0, 1, .max]) func noSizeIsTooOdd(_ size: Int64) throws {
        for from in [0, 1, Int64.max] {
            var missed = MissedContent()
            missed.note(try digest(1), from: from, registry: "r", now: start)
            let came = missed.arrived(held(try digest(1), size), now: start)
            #expect(came.map(\.bytes) == (size > from ? [size - from] : []))
        }
    }

    @Test func missesAreForgottenInTimeAndBoundedInNumber() throws {
        var missed = MissedContent()
        missed.note(try digest(0), from: 0, registry: "r", now: start)
        let late = missed.arrived(held(try digest(0), 9), now: start + MissedContent.duration)
        #expect(late.isEmpty)
        for number in 0..<(3 * MissedContent.limit) {
            missed.note(try digest(number), from: 0, registry: "r", now: start + .milliseconds(Int64(number)))
            #expect(missed.count <= MissedContent.limit)
        }
        // The eldest gave way.
        let newest = missed.arrived(held(try digest(3 * MissedContent.limit - 1), 9), now: start + .minutes(1))
        #expect(newest.count == 1)
        let eldest = missed.arrived(held(try digest(0), 9), now: start + .minutes(1))
        #expect(eldest.isEmpty)
    }
}

extension LoopbackTests {
    @Suite(.serialized, .timeLimit(.minutes(1))) struct SourceBytesTests {
        private func ask(_ node: TestNode, _ digest: Digest) async throws -> Int {
            try await fetch(node.address, "/v2/library/test/blobs/\(digest)?ns=docker.io").status
        }

        @Test func contentThatComesAfterA404IsCounted() async throws {
            let mirror = try await TestNode()
            let (bytes, digest) = try makeContent(5000)
            let (_, early) = try makeContent(4000)
            let (_, unasked) = try makeContent(3000)
            // What was there before the store was read did not come from anywhere.
            #expect(try await ask(mirror, early) == 404)
            let entry = ContentIndex.Entry(size: 4000, mediaType: nil)
            mirror.index.replace(contents: [early: entry], tags: [:])
            mirror.index.replace(contents: [early: entry], tags: [:])
            #expect(mirror.server.history.total.sourceBytes == 0)

            #expect(try await ask(mirror, digest) == 404)
            mirror.index.insert(unasked, size: 3000, mediaType: nil)
            #expect(mirror.server.history.total.sourceBytes == 0)
            mirror.index.insert(digest, size: 5000, mediaType: nil)
            mirror.index.insert(digest, size: 5000, mediaType: nil)
            #expect(mirror.server.history.total.sourceBytes == 5000)
            #expect(
                mirror.server.history.minutes(now: Int(RegistryJournal.now)).reduce(0) { $0 + $1.sourceBytes } == 5000
            )

            // Once it is gone, another node has it.
            mirror.index.remove(digest)
            #expect(try await ask(mirror, digest) == 404)
            let holder = try await TestNode(host: "127.0.0.2")
            holder.store.add(bytes, as: digest)
            mirror.router.setProviders([holder.provider], of: digest.text)
            #expect(try await ask(mirror, digest) == 200)
            #expect(try await TestNode.settle { mirror.server.history.total.hits == 1 })
            mirror.index.insert(digest, size: 5000, mediaType: nil)
            #expect(mirror.server.history.total.sourceBytes == 5000)
            await mirror.server.shutdown()
            await holder.server.shutdown()
        }
    }
}
