import ContentStore
import OCI
import Routing
import RoutingTestSupport
import Testing

@testable import Registry

extension LoopbackTests {
    /// Conditions, ranges and what else RFC 9110 says of requests, for content of this node and of another one.
    @Suite(.serialized, .timeLimit(.minutes(2))) struct ConditionalRequestTests {
        /// A node that holds a blob, and one that asks it.
        private func makeNodes() async throws -> (nodes: [TestNode], bytes: [UInt8], digest: Digest) {
            let holder = try await TestNode(host: "127.0.0.2", checksFiles: true)
            let mirror = try await TestNode()
            let (bytes, digest) = try makeContent(200_000)
            holder.store.add(bytes, as: digest)
            mirror.router.setProviders([holder.provider], of: digest.text)
            return ([holder, mirror], bytes, digest)
        }

        @Test(arguments: ["GET", "HEAD"])
        func contentOfClientIs304(method: String) async throws {
            let (nodes, _, digest) = try await makeNodes()
            for node in nodes {
                for condition in ["\"\(digest)\"", "W/\"\(digest)\"", "\"x\", \"\(digest)\"", "*"] {
                    let answer = try await blocking {
                        let client = try RawClient(node.address)
                        let request =
                            "\(method) /v2/a/blobs/\(digest) HTTP/1.1\r\nHost: x\r\nIf-None-Match: \(condition)"
                        // A range counts for nothing then.
                        try client.send(
                            request + "\r\nRange: bytes=0-4\r\n\r\n" + "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
                        )
                        let answer = try client.response(isHead: true)
                        // Nothing follows but the next answer.
                        #expect(try client.response()?.text == "alive\n")
                        return answer
                    }
                    #expect(answer?.status == 304, "\(condition)")
                    #expect(answer?.headers["etag"] == "\"\(digest)\"")
                    #expect(answer?.headers["docker-content-digest"] == digest.text)
                    #expect(answer?.headers["content-length"] == nil && answer?.headers["content-range"] == nil)
                }
                let other = try await fetch(
                    node.address,
                    "/v2/a/blobs/\(digest)",
                    method: method,
                    headers: ["If-None-Match: \"sha256:0\""]
                )
                #expect(other.status == 200 && other.headers["content-length"] == "200000")
            }
            for node in nodes { await node.server.shutdown() }
        }

        /// Where the mirror relays as bytes come, and where it checks them first.
        @Test(arguments: [0, 1 << 20])
        func tagsAreComparedByTheDigestThatTheyStandFor(checkedSize: Int64) async throws {
            let nodes = [
                try await TestNode(host: "127.0.0.2", checksFiles: true),
                try await TestNode { $0.checks.checkedSize = checkedSize },
            ]
            let json = Array(#"{"schemaVersion":2,"manifests":[]}"#.utf8)
            let digest = digestOf(json)
            nodes[0].store.add(json, as: digest)
            let target = Descriptor(mediaType: .ociIndex, digest: digest, size: Int64(json.count))
            nodes[0].index.setTag("docker.io/library/test:1", to: target)
            nodes[1].router.setProviders([nodes[0].provider], of: "docker.io/library/test:1")
            let path = "/v2/library/test/manifests/1?ns=docker.io"
            for node in nodes {
                let same = try await blocking {
                    let client = try RawClient(node.address)
                    try client.send(
                        "GET \(path) HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"\(digest)\"\r\n\r\n"
                            + "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
                    )
                    let same = try client.response(isHead: true)
                    // Nothing follows but the next answer.
                    #expect(try client.response()?.text == "alive\n")
                    return same
                }
                #expect(same?.status == 304)
                let other = try await fetch(node.address, path, headers: ["If-None-Match: \"x\""])
                #expect(other.status == 200 && other.body == json)
            }
            for node in nodes { await node.server.shutdown() }
        }

        @Test func contentOfNoNodeIs404() async throws {
            let node = try await TestNode()
            let digest = try makeContent(1).digest
            for condition in ["*", "\"\(digest)\""] {
                let answer = try await fetch(
                    node.address,
                    "/v2/a/blobs/\(digest)",
                    headers: ["If-None-Match: \(condition)"]
                )
                #expect(answer.status == 404)
            }
            await node.server.shutdown()
        }

        @Test func answersRangesAsSpecified() async throws {
            let (nodes, bytes, digest) = try await makeNodes()
            let cases: [(headers: [String], expected: Range<Int>?)] = [
                (["Range: bytes=0-0"], 0..<1), (["Range: bytes=199999-"], 199_999..<200_000),
                (["Range: bytes=-1"], 199_999..<200_000), (["Range: bytes=-500000"], 0..<200_000),
                (["Range: bytes=5-999999999"], 5..<200_000), (["Range: BYTES=5-6"], 5..<7),
                (["Range: bytes=5-", "If-Range: \"\(digest)\""], 5..<200_000),
                // A weak entity tag, a date or another one: the whole content.
                (["Range: bytes=5-", "If-Range: W/\"\(digest)\""], nil),
                (["Range: bytes=5-", "If-Range: \"x\""], nil),
                (["Range: bytes=5-", "If-Range: Wed, 21 Oct 2015 07:28:00 GMT"], nil),
                (["Range: bytes=5-", "If-Range: \"\(digest)\"", "If-Range: \"x\""], nil),
                // Several ranges, another unit, what is malformed: ignored, as section 14.2 allows.
                (["Range: bytes=0-1,5-6"], nil), (["Range: bytes=0-0,-1"], nil), (["Range: lines=1-2"], nil),
                (["Range: bytes=6-5"], nil), (["Range: bytes=x"], nil),
                (["Range: bytes=0-1", "Range: bytes=2-3"], nil),
            ]
            for node in nodes {
                for (headers, expected) in cases {
                    let answer = try await fetch(node.address, "/v2/a/blobs/\(digest)", headers: headers)
                    #expect(answer.status == (expected == nil ? 200 : 206), "\(headers)")
                    #expect(answer.body == Array(bytes[expected ?? 0..<bytes.count]), "\(headers)")
                    let range = expected.map { "bytes \($0.lowerBound)-\($0.upperBound - 1)/200000" }
                    #expect(answer.headers["content-range"] == range, "\(headers)")
                }
                for value in ["bytes=200000-", "bytes=-0", "bytes=999999999999-"] {
                    let answer = try await fetch(
                        node.address,
                        "/v2/a/blobs/\(digest)",
                        headers: ["Range: \(value)"]
                    )
                    #expect(answer.status == 416 && answer.headers["content-range"] == "bytes */200000", "\(value)")
                }
                let head = try await fetch(
                    node.address,
                    "/v2/a/blobs/\(digest)",
                    method: "HEAD",
                    headers: ["Range: bytes=0-4"]
                )
                #expect(head.status == 200 && head.headers["content-length"] == "200000")
            }
            for node in nodes { await node.server.shutdown() }
        }

        @Test func unknownExpectationsAreRefused() async throws {
            let node = try await TestNode()
            #expect(try await fetch(node.address, "/livez", headers: ["Expect: wonders"]).status == 417)
            await node.server.shutdown()
        }
    }
}
