import OCI
import TestSupport
import Testing
import Time

@testable import Mirroring

/// What the design leaves room for: a body in segments from several peers, and a source that grows.
struct TransferRoomTests {
    private let digest = Digest(algorithm: .sha256, bytes: [UInt8](repeating: 7, count: 32))
    private let start = MonotonicTime(nanoseconds: 1_000_000_000)

    private func makeTransfer(_ range: ByteRange?, from peer: String) throws -> (Transfer, PeerRequest) {
        var limits = TransferLimits()
        limits.checkedSize = 0
        let request = TransferRequest(isHead: false, kind: .blob, digest: digest, range: range, size: 1000)
        var transfer = Transfer(request, limits: limits, now: start)
        transfer.lookupStarted(now: start)
        let found = transfer.found(
            Peer(id: peer, addresses: [PeerAddress(ip: "192.0.2.1", port: 5000)]),
            now: start
        )
        _ = transfer.lookupEnded(now: start)
        guard case .ask(let request)? = found.first else { throw TestFailure() }
        transfer.connected(request.attempt, reused: false, now: start)
        var response = PeerResponse(status: 200, contentLength: 1000)
        if let part = range?.resolved(size: 1000) {
            response.status = 206
            response.contentLength = part.upperBound - part.lowerBound
            response.contentRange = ByteRange.contentRange(part, size: 1000)
        }
        #expect(transfer.received(response, of: request.attempt, now: start) == [])
        return (transfer, request)
    }

    private struct TestFailure: Error {}

    /// Each segment is a transfer of a range. All fetch at the same time, and those behind the first one that is
    /// incomplete are throttled like by a client that takes nothing, so that the bytes reach the client in order.
    @Test(arguments: UInt64(0)..<200)
    func segmentsFromSeveralPeersReachTheClientInOrder(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let ranges: [Range<Int64>] = [0..<300, 300..<700, 700..<1000]
        var segments: [(transfer: Transfer, request: PeerRequest, received: Int64)] = []
        for (index, range) in ranges.enumerated() {
            let byteRange = ByteRange.closed(first: range.lowerBound, last: range.upperBound - 1)
            let (transfer, request) = try makeTransfer(byteRange, from: "peer\(index)")
            segments.append((transfer, request, 0))
        }
        var client: [Int64] = []
        var current = 0
        var held: [Int: [Int64]] = [:]
        var now = start
        while current < segments.count {
            now = now + .milliseconds(100)
            let index = Int.random(in: current..<segments.count, using: &random)
            var (transfer, request, received) = segments[index]
            let range = ranges[index]
            let isThrottled = index > current && received > 0
            // A throttled segment has one chunk in memory, and its peer is not read.
            if !isThrottled, received < range.upperBound - range.lowerBound {
                let count = Int64.random(in: 1...(range.upperBound - range.lowerBound - received), using: &random)
                let decision = transfer.received(bytes: Int(count), of: request.attempt, now: now)
                guard case .forward(_, 0) = decision.use else { throw TestFailure() }
                let bytes = Array(range.lowerBound + received..<range.lowerBound + received + count)
                received += count
                if index == current { client += bytes } else { held[index] = bytes }
                _ = transfer.readable(request.attempt, canMove: false, now: now)
                let next = transfer.flushed(request.attempt, clientIsWritable: index == current, now: now)
                #expect(next == (index == current ? [.read(request.attempt)] : []), "seed \(seed)")
            }
            #expect(!transfer.timePassed(now: now).contains { if case .cancel = $0 { true } else { false } })
            segments[index] = (transfer, request, received)
            while current < segments.count,
                segments[current].received == ranges[current].upperBound - ranges[current].lowerBound
            {
                let end = segments[current].transfer.ended(segments[current].request.attempt, now: now)
                #expect(end.last == .end(.complete), "seed \(seed)")
                current += 1
                guard current < segments.count, let bytes = held[current] else { continue }
                client += bytes
                let next = segments[current].transfer.clientWritable(true, now: now)
                #expect(next == [.read(segments[current].request.attempt)])
            }
        }
        #expect(client == Array(0..<1000), "seed \(seed)")
    }

    /// A source that still downloads promises all of the content, and sends it as it comes.
    @Test func sourceThatGrowsIsFollowedAsLongAsItMakesProgress() throws {
        var (transfer, request) = try makeTransfer(nil, from: "growing")
        var now = start
        for _ in 0..<9 {
            now = now + .milliseconds(1900)
            #expect(transfer.timePassed(now: now) == [])
            _ = transfer.received(bytes: 100, of: request.attempt, now: now)
        }
        // It dies: the rest comes from elsewhere, from the byte that was reached.
        let more = transfer.failed(request.attempt, .closed("by the peer"), now: now)
        #expect(more == [.cancel(request.attempt), .startLookup])
        let found = transfer.found(
            Peer(id: "complete", addresses: [PeerAddress(ip: "192.0.2.2", port: 5000)]),
            now: now
        )
        guard case .ask(let next)? = found.first else { throw TestFailure() }
        #expect(next.part.headerValue == "bytes=900-999")
    }
}
