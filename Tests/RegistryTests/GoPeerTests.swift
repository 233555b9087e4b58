import ContentStore
import NIOCore
import OCI
import Routing
import RoutingTestSupport
import Testing

@testable import Registry

extension LoopbackTests {
    /// Beside a peer that behaves as Spegel in Go does: it knows no checks, and answers 404 to a request without `ns`.
    @Suite(.serialized, .timeLimit(.minutes(2))) struct GoPeerTests {
        @Test(arguments: ["", "?ns=docker.io", "?ns=quay.io"])
        func servesWhatOnlyAGoPeerHolds(query: String) async throws {
            let mirror = try await TestNode { $0.checks.checkedSize = 1000 }
            let (bytes, digest) = try makeContent(100_000)
            let config = Array(#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#.utf8)
            let manifest = Array(
                (#"{"schemaVersion":2,"mediaType":"\#(MediaType.ociManifest)","config":{"mediaType":"#
                    + #""\#(MediaType.ociConfig)","digest":"\#(digestOf(config))","size":\#(config.count)},"layers":["#
                    + #"{"mediaType":"\#(MediaType.ociLayerGzip)","digest":"\#(digest)","size":\#(bytes.count)}]}"#)
                    .utf8
            )
            let (peer, provider) = try await startGoPeer([
                digest: (MediaType.ociLayerGzip.text, bytes), digestOf(config): (MediaType.ociConfig.text, config),
                digestOf(manifest): (MediaType.ociManifest.text, manifest),
            ])
            for key in [digest, digestOf(config), digestOf(manifest)] {
                mirror.router.setProviders([provider], of: key.text)
            }
            for _ in 0..<3 {
                for (kind, key, content, type) in [
                    ("manifests", digestOf(manifest), manifest, MediaType.ociManifest),
                    ("blobs", digestOf(config), config, MediaType.ociConfig), ("blobs", digest, bytes, .ociLayerGzip),
                ] {
                    let path = "/v2/a/\(kind)/\(key)\(query)"
                    let answer = try await fetch(mirror.address, path)
                    #expect(answer.status == 200 && answer.body == content, "\(path)")
                    #expect(answer.headers["content-type"] == type.text)
                    #expect(answer.headers["oci-namespace"] == (query.isEmpty ? nil : String(query.dropFirst(4))))
                }
            }
            let part = try await fetch(mirror.address, "/v2/a/blobs/\(digest)\(query)", headers: ["Range: bytes=7-"])
            #expect(part.status == 206 && part.body == Array(bytes.dropFirst(7)))
            #expect(mirror.server.metrics.failedAttempts == 0)
            await mirror.server.shutdown()
            try await peer.stop()
        }

        /// What a manifest of a registry has named is asked for in the name of that registry.
        @Test func namesTheRegistryOfTheManifest() async throws {
            let mirror = try await TestNode { $0.checks.checkedSize = 1 << 20 }
            let (bytes, digest) = try makeContent(1000)
            let manifest = Array(
                (#"{"schemaVersion":2,"mediaType":"\#(MediaType.ociManifest)","layers":[{"mediaType":"#
                    + #""\#(MediaType.ociLayerGzip)","digest":"\#(digest)","size":\#(bytes.count)}]}"#).utf8
            )
            let (peer, provider) = try await startGoPeer([
                digest: (MediaType.ociLayerGzip.text, bytes),
                digestOf(manifest): (MediaType.ociManifest.text, manifest),
            ])
            for key in [digest, digestOf(manifest)] { mirror.router.setProviders([provider], of: key.text) }
            _ = try await fetch(mirror.address, "/v2/a/manifests/\(digestOf(manifest))?ns=quay.io")
            // The manifest is parsed off the event loop.
            try await Task.sleep(for: .milliseconds(300))
            #expect(try await fetch(mirror.address, "/v2/a/blobs/\(digest)").body == bytes)
            #expect(peer.requests.last?.contains("/v2/a/blobs/\(digest)?ns=quay.io ") == true)
            await mirror.server.shutdown()
            try await peer.stop()
        }

        /// What this node holds has the type that a manifest names, and the namespace of the request.
        @Test func tellsTypeAndNamespaceOfItsOwnContent() async throws {
            let node = try await TestNode()
            let (bytes, digest) = try makeContent(1000)
            node.store.add(bytes, as: digest)
            let path = "/v2/a/blobs/\(digest)"
            #expect(try await fetch(node.address, path).headers["content-type"] == "application/octet-stream")
            node.index.insert(digest, size: 1000, mediaType: .ociConfig)
            for headers in [[], ["Range: bytes=1-5"]] {
                let answer = try await fetch(node.address, path + "?ns=docker.io", headers: headers)
                #expect(answer.headers["content-type"] == MediaType.ociConfig.text)
                #expect(answer.headers["oci-namespace"] == "docker.io")
            }
            #expect(try await fetch(node.address, path).headers["oci-namespace"] == nil)
            await node.server.shutdown()
        }

        private func startGoPeer(
            _ contents: [Digest: (type: String, bytes: [UInt8])]
        ) async throws -> (peer: ScriptedPeer, provider: Provider) {
            try await ScriptedPeer.start { request in
                let line = request.prefix { $0 != "\r\n" }
                guard line.contains("?ns="), let (_, found) = contents.first(where: { line.contains($0.key.text) })
                else {
                    return [.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")]
                }
                var head = "HTTP/1.1 200 OK\r\nContent-Type: \(found.type)\r\n"
                var body = found.bytes
                if let range = request.split(separator: "\r\n").first(where: { $0.hasPrefix("Range: bytes=") }),
                    let first = Int(range.dropFirst(13).prefix { $0.isNumber })
                {
                    head = "HTTP/1.1 206 Partial Content\r\nContent-Type: \(found.type)\r\n"
                    head += "Content-Range: bytes \(first)-\(body.count - 1)/\(body.count)\r\n"
                    body = Array(body[first...])
                }
                return [.send(head + "Content-Length: \(body.count)\r\n\r\n"), .bytes(body)]
            }
        }
    }
}
