import NIOCore
import OCI
import Routing
import RoutingTestSupport
import TestSupport
import Testing

@testable import Registry

struct JournalTests {
    @Test func keepsPeriodsForTheirTime() {
        var history = TransferHistory()
        #expect(history.minutes(now: 1_000_000).isEmpty)
        history.change(now: 1_000_000) { $0.hits += 1 }
        history.change(now: 1_000_019) { $0.hits += 1 }
        history.change(now: 1_000_020) { $0.misses += 1 }
        #expect(history.minutes(now: 1_000_020).map(\.start) == [999_960, 1_000_020])
        #expect(history.minutes(now: 1_000_020).map(\.hits) == [2, 0])
        #expect(history.quarters(now: 1_000_020).map(\.hits) == [2])
        #expect(history.quarters(now: 1_000_020).map(\.misses) == [1])
        // An hour later nothing of it is in the last hour, and all of it in the last day.
        #expect(history.minutes(now: 1_000_020 + 3540).map(\.start) == [1_000_020])
        #expect(history.minutes(now: 1_000_020 + 3600).isEmpty)
        #expect(history.quarters(now: 1_000_020 + 3600).count == 1)
        #expect(history.total.hits == 2 && history.total.misses == 1)
    }

    /// However the clock goes, the periods are in order, within bounds, and nothing is lost of the total.
    @Test func acceptsAnyClock() {
        var random = SeededGenerator()
        var history = TransferHistory()
        var now = 1_700_000_000
        for count in 1...5000 {
            now += Int.random(in: -300...400, using: &random)
            history.change(now: now) { $0.hits += 1 }
            #expect(history.total.hits == count)
            for (periods, limit) in [(history.minutes(now: now), 60), (history.quarters(now: now), 96)] {
                #expect(periods.count <= limit, "seed \(random.seed)")
                #expect(zip(periods, periods.dropFirst()).allSatisfy { $0.start < $1.start }, "seed \(random.seed)")
            }
        }
    }

    @Test func keepsLastFailures() {
        for count in [0, 1, 2, FailureLog.limit - 1, FailureLog.limit, FailureLog.limit + 1, 3 * FailureLog.limit + 7] {
            var log = FailureLog()
            for index in 0..<count {
                log.add(FailureLog.Entry(time: Double(index), key: "", repository: "", reason: "", text: ""))
            }
            let times = log.newestFirst.map { Int($0.time) }
            #expect(times == Array((max(0, count - FailureLog.limit)..<max(0, count)).reversed()), "\(count)")
        }
    }
}

extension LoopbackTests {
    @Suite(.serialized, .timeLimit(.minutes(1))) struct LiveTransferTests {
        @Test func liveTransfersShowProgress() async throws {
            let mirror = try await TestNode()
            let holder = try await TestNode(host: "127.0.0.2")
            // More than the buffers of two sockets hold.
            let (bytes, digest) = try makeContent(24 << 20)
            holder.store.add(bytes, as: digest)
            let dead = Provider(peerID: "dead", addresses: [try SocketAddress(ipAddress: "127.0.0.3", port: 1)])
            mirror.router.setProviders([dead, holder.provider], of: digest.text)
            #expect(await mirror.server.liveTransfers(limit: 10).count == 0)

            let client = try await blocking { try RawClient(mirror.address) }
            try await blocking {
                try client.send("GET /v2/library/test/blobs/\(digest)?ns=docker.io HTTP/1.1\r\nHost: x\r\n\r\n")
                #expect(try client.read(upTo: 1000).count > 0)
            }
            let (transfers, count) = await mirror.server.liveTransfers(limit: 10)
            #expect(count == 1)
            let received = try #require(transfers.first)
            #expect(received.direction == .received && received.key == digest.text)
            #expect(received.size == Int64(bytes.count) && (1..<Int64(bytes.count)).contains(received.bytes))
            #expect(
                received.source?.hasPrefix("127.0.0.2:") == true && received.client?.hasPrefix("127.0.0.1:") == true
            )
            let sent = try #require(await holder.server.liveTransfers(limit: 10).transfers.first)
            #expect(sent.direction == .sent && sent.source == nil && sent.size == Int64(bytes.count))
            #expect(await mirror.server.liveTransfers(limit: 0).transfers.isEmpty)

            try await blocking {
                var left = bytes.count
                while left > 0 {
                    let part = try client.read(upTo: 1 << 20)
                    guard !part.isEmpty else { break }
                    left -= part.count
                    if left < 2000 { break }
                }
                client.reset()
            }
            #expect(try await TestNode.settle { mirror.server.history.total.hits == 1 })
            #expect(mirror.server.history.total.receivedBytes > 0)
            #expect(try await TestNode.settle { holder.server.history.total.sentBytes > 0 })
            let failure = try #require(mirror.server.failures.first)
            #expect(failure.reason == "connect_failed" && failure.address == "127.0.0.3:1" && failure.peerID == "dead")
            #expect(
                failure.key == digest.text && failure.registry == "docker.io" && failure.repository == "library/test"
            )
            await mirror.server.shutdown()
            await holder.server.shutdown()
        }
    }
}
