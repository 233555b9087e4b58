import ContentStore
import NIOCore
import OCI
import Testing

@testable import Registry

extension LoopbackTests {
    /// More connections than the registry has places for.
    @Suite(.serialized, .timeLimit(.minutes(3))) struct ConnectionFloodTests {
        private static let health = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"

        /// No deadline of the server closes a connection within the test.
        private func makeNode(connections: Int, reserved: Int) async throws -> TestNode {
            try await TestNode {
                $0.clients.maximumConnections = connections
                $0.clients.reservedConnections = reserved
                $0.clients.requestTimeout = .seconds(600)
                $0.clients.idleTimeout = .seconds(600)
                $0.clients.stallTimeout = .seconds(600)
            }
        }

        private func expectHealthy(_ node: TestNode) async throws {
            for path in ["/livez", "/readyz"] {
                let start = ContinuousClock.now
                let status = try await fetch(node.address, path).status
                let duration = ContinuousClock.now - start
                #expect(status == 200)
                #expect(duration < .seconds(5))
            }
        }

        @Test func healthAnswersBesideIdleConnections() async throws {
            let node = try await makeNode(connections: 64, reserved: 8)
            let idle = try await blocking {
                try (0..<100).map { _ in
                    let client = try RawClient(node.address)
                    try client.send(Self.health)
                    #expect(try client.response()?.status == 200)
                    return client
                }
            }
            try await expectHealthy(node)
            // The oldest gave way, the newest did not.
            #expect(try await blocking { try idle[0].read(upTo: 1).isEmpty })
            try idle[99].send(Self.health)
            #expect(try await blocking { try idle[99].response()?.status } == 200)
            await node.server.shutdown()
        }

        @Test func healthAnswersBesideSilentConnections() async throws {
            let node = try await makeNode(connections: 64, reserved: 8)
            let silent = try await blocking {
                try (0..<200).map { number in
                    let client = try RawClient(node.address)
                    // Some send a part of a head, or a head without its body.
                    if number % 3 == 1 { try client.send("GET /v2/a/blo") }
                    if number % 3 == 2 { try client.send("GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n") }
                    return client
                }
            }
            for _ in 0..<3 { try await expectHealthy(node) }
            #expect(silent.count == 200)
            await node.server.shutdown()
        }

        @Test func transfersStayOpenAndHealthAnswersBesideThem() async throws {
            let node = try await makeNode(connections: 12, reserved: 4)
            let (bytes, digest) = try makeContent(8 << 20)
            node.store.add(bytes, as: digest)
            let path = "/v2/a/blobs/\(digest)"
            let readers = try await blocking {
                try (0..<8).map { _ in
                    let client = try RawClient(node.address, receiveBuffer: 4096)
                    try client.send("GET \(path) HTTP/1.1\r\nHost: x\r\n\r\n")
                    return client
                }
            }
            #expect(try await TestNode.settle { node.server.metrics.requestsInFlight == 8 })
            // The next one is the last before only health gets an answer.
            _ = try await fetch(node.address, "/livez")
            #expect(try await TestNode.settle { node.server.isCrowded })
            for _ in 0..<10 { try await expectHealthy(node) }
            let refused = try await fetch(node.address, path)
            #expect(refused.status == 503 && refused.headers["retry-after"] == "1")
            #expect(refused.headers["connection"] == "close")
            // Silent connections do not take the places that are reserved.
            let silent = try await blocking { try (0..<20).map { _ in try RawClient(node.address) } }
            for _ in 0..<3 { try await expectHealthy(node) }
            #expect(silent.count == 20)
            #expect(try await TestNode.settle { node.server.metrics.requestsInFlight == 8 })
            for reader in readers {
                let response = try await blocking { try reader.response() }
                #expect(response?.isWhole == true && response?.body == bytes)
            }
            #expect(try await TestNode.settle { !node.server.isCrowded })
            #expect(try await fetch(node.address, path).body == bytes)
            await node.server.shutdown()
        }
    }
}
