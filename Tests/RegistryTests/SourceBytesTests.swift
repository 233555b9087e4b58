import ContentStore
import NIOCore
import OCI
import Routing
import RoutingTestSupport
import TestSupport
import Testing

@testable import Registry

extension LoopbackTests {
    @Suite(.serialized, .timeLimit(.minutes(1))) struct SourceBytesTests {
        private func ask(_ node: TestNode, _ digest: Digest) async throws -> Int {
            try await fetch(node.address, "/v2/library/test/blobs/\(digest)?ns=docker.io").status
        }

        @Test func countsContentThatComesAfter404() async throws {
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
            let minutes = mirror.server.history.minutes(now: Int(RegistryServer.wallClock))
            #expect(minutes.reduce(0) { $0 + $1.sourceBytes } == 5000)

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
