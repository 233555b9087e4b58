import NIOCore
import OCI
import Routing
import RoutingTestSupport
import TestSupport
import Testing

@testable import Registry

extension LoopbackTests {
    /// Two nodes and a client that have no other addresses than those of IPv6.
    @Suite(.serialized, .timeLimit(.minutes(1))) struct IPv6Tests {
        @Test(arguments: [VerificationMode.auto, .always])
        func contentIsRelayed(verification: VerificationMode) async throws {
            let mirror = try await TestNode(host: "::1") {
                $0.checks.verification = verification
                $0.checks.checkedSize = 1 << 20
            }
            let holder = try await TestNode(host: "::1", checksFiles: true)
            let (bytes, digest) = try makeContent(4 << 20)
            let (small, smallDigest) = try makeContent(1000)
            for (content, digest) in [(bytes, digest), (small, smallDigest)] {
                holder.store.add(content, as: digest)
                mirror.router.setProviders([holder.provider], of: digest.text)
            }
            #expect(mirror.address.hostHeader.hasPrefix("[::1]:"))
            let path = "/v2/a/blobs/\(digest)"
            #expect((try await fetch(mirror.address, path).body == bytes) == true)
            #expect(mirror.server.splices.begun == 1)
            let part = try await fetch(mirror.address, path, headers: ["Range: bytes=1000000-"])
            #expect((part.body == Array(bytes[1_000_000...])) == true && part.status == 206)
            #expect(try await fetch(mirror.address, "/v2/a/blobs/\(smallDigest)").body == small)
            let missing = "sha256:" + String(repeating: "0", count: 64)
            #expect(try await fetch(mirror.address, "/v2/a/blobs/\(missing)").status == 404)
            #expect(mirror.server.metrics.failedAttempts == 0)
            await mirror.server.shutdown()
            await holder.server.shutdown()
        }
    }
}
