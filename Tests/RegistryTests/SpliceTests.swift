import ContentStore
import Glibc
import NIOCore
import OCI
import Routing
import RoutingTestSupport
import TestSupport
import Testing

@testable import Registry

extension LoopbackTests {
    /// Bodies that the kernel moves from socket to socket.
    @Suite(.serialized, .timeLimit(.minutes(3))) struct SpliceTests {
        @Test(arguments: [VerificationMode.auto, .always])
        func movesEveryByteAndReusesConnections(verification: VerificationMode) async throws {
            let (mirror, holder, bytes, digest) = try await TestNode.pair(4 << 20) {
                $0.checks.verification = verification
            }
            let path = "/v2/a/blobs/\(digest)"
            try await blocking {
                let client = try RawClient(mirror.address)
                for _ in 0..<5 {
                    try client.send("GET \(path) HTTP/1.1\r\nHost: x\r\n\r\n")
                    let answer = try client.response()
                    #expect(answer?.status == 200 && answer?.body == bytes)
                }
                // All at once: each answer begins where the one before has ended.
                try client.send(
                    """
                    GET \(path) HTTP/1.1\r\nHost: x\r\n\r\n\
                    GET /livez HTTP/1.1\r\nHost: x\r\n\r\n\
                    GET \(path) HTTP/1.1\r\nHost: x\r\nRange: bytes=1000001-3000000\r\n\r\n\
                    GET \(path) HTTP/1.1\r\nHost: x\r\nRange: bytes=-7\r\n\r\n\
                    GET \(path) HTTP/1.1\r\nHost: x\r\n\r\n
                    """
                )
                #expect((try client.response()?.body == bytes) == true)
                #expect(try client.response()?.text == "alive\n")
                let part = try client.response()
                #expect(part?.status == 206 && part?.body == Array(bytes[1_000_001...3_000_000]))
                #expect((try client.response()?.body == Array(bytes.suffix(7))) == true)
                #expect((try client.response()?.body == bytes) == true)
            }
            #expect(mirror.server.splices.begun == 8)
            #expect(try await TestNode.settle { mirror.server.metrics.outcomes[.mirrored] == 9 })
            #expect(mirror.server.metrics.relayedBytes == 7 * bytes.count + 2_000_000 + 7)
            #expect(mirror.server.metrics.failedAttempts == 0 && mirror.server.metrics.peerConnections == 1)
            #expect(holder.server.metrics.openConnections == 1)
            await mirror.server.shutdown()
            await holder.server.shutdown()
            #expect(mirror.server.metrics.peerConnections == 0 && mirror.server.splices.current == 0)
        }

        @Test func reportsSmallAndVerifiedContent() async throws {
            let (mirror, holder, bytes, digest) = try await TestNode.pair(1 << 20) { $0.checks.checkedSize = 1 << 20 }
            #expect((try await fetch(mirror.address, "/v2/a/blobs/\(digest)").body == bytes) == true)
            let small = try makeContent(100_000)
            holder.store.add(small.bytes, as: small.digest)
            mirror.router.setProviders([holder.provider], of: small.digest.text)
            #expect(try await fetch(mirror.address, "/v2/a/blobs/\(small.digest)").body == small.bytes)
            #expect(mirror.server.splices.begun == 0)
            await mirror.server.shutdown()
            await holder.server.shutdown()
        }

        @Test(arguments: 0..<6, [false, true])
        func resumesAtNextPeer(kind: Int, hasOther: Bool) async throws {
            let (mirror, holder, bytes, digest) = try await TestNode.pair(4 << 20) {
                $0.checks.verification = kind < 3 ? .auto : .always
            }
            let sent = 1_234_567
            let (bad, provider) = try await ScriptedPeer.start { _ in
                let head = ScriptedPeer.Step.send("HTTP/1.1 200 OK\r\nContent-Length: \(bytes.count)\r\n\r\n")
                // A reset may overtake what was sent, unless that was taken before.
                let end: [ScriptedPeer.Step] = [[.close], [.pause(300), .reset], []][kind % 3]
                return [head, .bytes(Array(bytes.prefix(sent)))] + end
            }
            mirror.router.setProviders(hasOther ? [provider, holder.provider] : [provider], of: digest.text)
            let answer = try await fetch(mirror.address, "/v2/a/blobs/\(digest)")
            #expect(answer.status == 200 && answer.isWhole == hasOther)
            #expect((answer.body == (hasOther ? bytes : Array(bytes.prefix(sent)))) == true)
            #expect(mirror.server.splices.begun == (hasOther ? 2 : 1))
            let outcome = hasOther ? RequestOutcome.mirrored : .cutShort
            #expect(try await TestNode.settle { mirror.server.metrics.outcomes[outcome] == 1 })
            #expect(mirror.server.metrics.failedAttempts == 1)
            #expect(mirror.server.metrics.relayedBytes == (hasOther ? bytes.count : sent))
            let expected = hasOther ? bytes.count - sent : 0
            #expect(try await TestNode.settle { holder.server.metrics.localBytes == expected })
            await mirror.server.shutdown()
            await holder.server.shutdown()
            try await bad.stop()
        }

        /// The rate limit holds the bytes of one peer back, which fails then; the next peer must not wait in vain.
        @Test(arguments: 0..<6) func readsNextPeerWhilePaced(number: Int) async throws {
            let (mirror, holder, bytes, digest) = try await TestNode.pair(2_000_000) {
                $0.transfers.downloadRate = 4_000_000
            }
            let (bad, provider) = try await ScriptedPeer.start { _ in
                [
                    .send("HTTP/1.1 200 OK\r\nContent-Length: \(bytes.count)\r\n\r\n"),
                    .bytes(Array(bytes.prefix(600_000))), .pause(Int64(number) * 20), .reset,
                ]
            }
            mirror.router.setProviders([provider, holder.provider], of: digest.text)
            let answer = try await fetch(mirror.address, "/v2/a/blobs/\(digest)")
            #expect(answer.isWhole && (answer.body == bytes) == true)
            #expect(try await TestNode.settle { mirror.server.metrics.outcomes[.mirrored] == 1 })
            #expect(mirror.server.metrics.failedAttempts == 1)
            await mirror.server.shutdown()
            await holder.server.shutdown()
            try await bad.stop()
        }

        @Test func noPeerIsBlamedForASlowClient() async throws {
            let (mirror, holder, bytes, digest) = try await TestNode.pair(16 << 20) {
                $0.peers.progressTimeout = .milliseconds(200)
            }
            let client = try RawClient(mirror.address, receiveBuffer: 64 << 10)
            try client.send("GET /v2/a/blobs/\(digest) HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try await TestNode.settle { mirror.server.splices.begun == 1 })
            try await Task.sleep(for: .milliseconds(800))
            #expect(mirror.server.splices.current == 1)
            let answer = try await blocking { try client.response() }
            #expect((answer?.body == bytes) == true)
            #expect(try await TestNode.settle { mirror.server.metrics.outcomes[.mirrored] == 1 })
            #expect(mirror.server.metrics.failedAttempts == 0)
            await mirror.server.shutdown()
            await holder.server.shutdown()
        }

        @Test func endOfWrongContentIsNotSent() async throws {
            let (mirror, holder, bytes, digest) = try await TestNode.pair(4 << 20) { $0.checks.verification = .always }
            // The last byte is no better seen than the first that the kernel moves.
            for place in [bytes.count - 1, 300_000] {
                var wrong = bytes
                wrong[place] ^= 1
                let body = wrong
                let (bad, provider) = try await ScriptedPeer.start { _ in
                    [.send("HTTP/1.1 200 OK\r\nContent-Length: \(body.count)\r\n\r\n"), .bytes(body)]
                }
                mirror.router.setProviders([provider], of: digest.text)
                let before = mirror.server.splices.begun
                let answer = try await fetch(mirror.address, "/v2/a/blobs/\(digest)")
                #expect(answer.status == 200 && !answer.isWhole && answer.body.count < bytes.count)
                #expect((answer.body == Array(body.prefix(answer.body.count))) == true)
                #expect(mirror.server.splices.begun == before + 1)
                try await bad.stop()
            }
            #expect(mirror.server.metrics.corruptAnswers == 2)
            mirror.router.setProviders([holder.provider], of: digest.text)
            #expect((try await fetch(mirror.address, "/v2/a/blobs/\(digest)").body == bytes) == true)
            await mirror.server.shutdown()
            await holder.server.shutdown()
        }

        @Test func endsAtOnceWhenClientLeaves() async throws {
            let (mirror, holder, bytes, digest) = try await TestNode.pair(16 << 20)
            for number in 0..<30 {
                try await blocking {
                    var client: RawClient? = try RawClient(mirror.address, receiveBuffer: 64 << 10)
                    try client?.send("GET /v2/a/blobs/\(digest) HTTP/1.1\r\nHost: x\r\n\r\n")
                    _ = try client?.read(upTo: 1000)
                    switch number % 3 {
                    case 0: client?.reset()
                    case 1: client?.endOutput()
                    default: break
                    }
                    if number % 3 == 1 { while try client?.read(upTo: 1 << 20).isEmpty == false {} }
                    client = nil
                }
            }
            let settled = try await TestNode.settle {
                let metrics = mirror.server.metrics
                return metrics.requestsInFlight == 0 && metrics.openConnections == 0
                    && mirror.server.splices.current == 0 && holder.server.metrics.requestsInFlight == 0
            }
            #expect(settled, "\(mirror.server.metrics)")
            #expect(mirror.server.metrics.outcomes[.aborted] == 30 && mirror.server.splices.begun >= 20)
            #expect(try await TestNode.settle { mirror.server.metrics.peerConnections <= 1 })
            #expect((try await fetch(mirror.address, "/v2/a/blobs/\(digest)").body == bytes) == true)
            await mirror.server.shutdown()
            await holder.server.shutdown()
        }

        @Test func countsBytesTakenBeforeClientLeft() async throws {
            let (mirror, holder, _, digest) = try await TestNode.pair(16 << 20)
            let client = try RawClient(mirror.address, receiveBuffer: 64 << 10)
            try client.send("GET /v2/a/blobs/\(digest) HTTP/1.1\r\nHost: x\r\n\r\n")
            let read = try await blocking {
                var count = 0
                while count < 5 << 20 { count += try client.read(upTo: 1 << 20).count }
                return count
            }
            client.reset()
            #expect(try await TestNode.settle { mirror.server.metrics.outcomes[.aborted] == 1 })
            #expect(try await TestNode.settle { mirror.server.splices.current == 0 })
            #expect(mirror.server.metrics.relayedBytes >= read - 1000 && mirror.server.metrics.relayedBytes <= 16 << 20)
            await mirror.server.shutdown()
            await holder.server.shutdown()
        }

        @Test func shutdownAwaitsAnswersUntilGraceEnds() async throws {
            for grace in [5, 0] {
                let (mirror, holder, bytes, digest) = try await TestNode.pair(16 << 20) {
                    $0.clients.shutdownGrace = .seconds(grace)
                }
                let client = try RawClient(mirror.address, receiveBuffer: 64 << 10)
                try client.send("GET /v2/a/blobs/\(digest) HTTP/1.1\r\nHost: x\r\n\r\n")
                #expect(try await TestNode.settle { mirror.server.splices.current == 1 })
                async let shutdown: Void = mirror.server.shutdown()
                if grace > 0 {
                    #expect((try await blocking { try client.response() }?.body == bytes) == true)
                }
                await shutdown
                #expect(mirror.server.metrics.openConnections == 0)
                #expect(try await TestNode.settle { mirror.server.splices.current == 0 })
                await holder.server.shutdown()
            }
        }

        @Test func concurrentRequestsLeaveNothingBehind() async throws {
            let (mirror, holder, bytes, digest) = try await TestNode.pair(1 << 20) {
                // However slow the machine: the test shows that no client is turned away.
                $0.peers.headTimeout = .seconds(30)
                $0.peers.progressTimeout = .seconds(30)
            }
            let before = openDescriptors()
            var clients: [RawClient] = []
            for _ in 0..<256 { clients.append(try RawClient(mirror.address)) }
            for client in clients { try client.send("GET /v2/a/blobs/\(digest) HTTP/1.1\r\nHost: x\r\n\r\n") }
            let asked = clients
            let good = try await blocking { try asked.count { try $0.response()?.body == bytes } }
            #expect(good == 256 && mirror.server.metrics.failedAttempts == 0 && mirror.server.splices.begun > 0)
            #expect(try await TestNode.settle { mirror.server.metrics.outcomes[.mirrored] == 256 })
            #expect(mirror.server.metrics.relayedBytes == 256 << 20)
            clients = []
            _ = consume asked
            await mirror.server.shutdown()
            await holder.server.shutdown()
            #expect(try await TestNode.settle { openDescriptors() <= before }, "\(openDescriptors()), \(before) before")
        }

        /// Peers that send in pieces, pause and fail at random, and a client that reads as it likes.
        @Test(arguments: 0..<20)
        func clientGetsRequestedContentDespiteFaults(number: Int) async throws {
            var random = SeededGenerator()
            let seed = random.seed
            let size = Int.random(in: 300_000...6_000_000, using: &random)
            let (mirror, holder, bytes, digest) = try await TestNode.pair(size) {
                $0.peers.progressTimeout = .milliseconds(300)
                $0.checks.verification = number < 10 ? .auto : .always
            }
            var steps: [ScriptedPeer.Step] = [.send("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n")]
            var sent = 0
            let end = Bool.random(using: &random) ? size : Int.random(in: 1...size, using: &random)
            while sent < end {
                let count = min(end - sent, Int.random(in: 1...[1000, 100_000, 2_000_000][number % 3], using: &random))
                steps.append(.bytes(Array(bytes[sent..<(sent + count)])))
                sent += count
                if Int.random(in: 0..<8, using: &random) == 0 {
                    steps.append(.pause(.random(in: 1...20, using: &random)))
                }
            }
            if end < size { steps.append([.close, .pause(1), .reset].randomElement(using: &random) ?? .close) }
            let (peer, provider) = try await ScriptedPeer.start { [steps] _ in steps }
            mirror.router.setProviders([provider, holder.provider], of: digest.text)
            let chunk = Int.random(in: 1000...1_000_000, using: &random)
            let body = try await blocking {
                let client = try RawClient(mirror.address, receiveBuffer: number % 2 == 0 ? 64 << 10 : nil)
                try client.send("GET /v2/a/blobs/\(digest) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                var all: [UInt8] = []
                while true {
                    let next = try client.read(upTo: chunk)
                    if next.isEmpty { break }
                    all += next
                }
                let head = all.firstRange(of: Array("\r\n\r\n".utf8))
                return Array(all.dropFirst(head?.upperBound ?? 0))
            }
            #expect((body == bytes) == true, "seed \(seed): \(body.count) of \(size) bytes")
            let isCounted = try await TestNode.settle { mirror.server.metrics.outcomes[.mirrored] == 1 }
            #expect(isCounted, "seed \(seed)")
            #expect(mirror.server.metrics.failedAttempts <= 1, "seed \(seed)")
            #expect(mirror.server.metrics.relayedBytes >= size, "seed \(seed)")
            await mirror.server.shutdown()
            await holder.server.shutdown()
            try await peer.stop()
        }
    }
}

/// How many descriptors this process has.
private func openDescriptors() -> Int {
    guard let folder = opendir("/proc/self/fd") else { return -1 }
    defer { closedir(folder) }
    var count = 0
    while readdir(folder) != nil { count += 1 }
    return count
}
