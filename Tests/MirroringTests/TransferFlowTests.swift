import OCI
import Testing
import Time

@testable import Mirroring

/// Back-pressure, the download rate, and bytes that the kernel moves: no byte may leave before one that was written
/// earlier.
struct TransferFlowTests {
    private let digest = Digest(algorithm: .sha256, bytes: [UInt8](repeating: 7, count: 32))
    private let start = MonotonicTime(nanoseconds: 1_000_000_000)
    private static let size: Int64 = 1000

    /// A transfer whose first peer has sent 400 bytes of 1,000, and whose second peer waits.
    private func makeTransfer(isPaced: Bool = false) throws -> (transfer: Transfer, attempt: AttemptID) {
        var limits = TransferLimits()
        limits.checkedSize = 0
        limits.splicedSize = 100
        limits.isPaced = isPaced
        var transfer = Transfer(
            TransferRequest(isHead: false, kind: .blob, digest: digest),
            limits: limits,
            now: start
        )
        transfer.lookupStarted(now: start)
        let peers = ["one", "other"].map { Peer(id: $0, addresses: [PeerAddress(ip: "192.0.2.1", port: 5000)]) }
        let actions = transfer.found(peers.map { ($0, .trusted) }, mayCut: false, now: start)
        _ = transfer.lookupEnded(now: start)
        let request = try #require(asked(actions))
        takeBytes(&transfer, request, 400)
        return (transfer, request.attempt)
    }

    private func asked(_ actions: [TransferAction]) -> PeerRequest? {
        for case .ask(let request) in actions { return request }
        return nil
    }

    private func drain(_ actions: [TransferAction]) -> Int? {
        for case .drain(let token) in actions { return token }
        return nil
    }

    /// A peer answers and sends the first bytes of its body.
    private func takeBytes(_ transfer: inout Transfer, _ request: PeerRequest, _ count: Int) {
        transfer.connected(request.attempt, reused: false, now: start)
        var response = PeerResponse(status: 200, contentLength: Self.size)
        if case .rest(_, let first) = request.part {
            response.status = 206
            response.contentLength = Self.size - first
            response.contentRange = "bytes \(first)-\(Self.size - 1)/\(Self.size)"
        }
        _ = transfer.received(response, of: request.attempt, now: start)
        _ = transfer.received(bytes: count, of: request.attempt, now: start)
    }

    // MARK: The order of bytes

    @Test func kernelTakesOverOnceAllThatWasWrittenHasLeft() throws {
        var (transfer, attempt) = try makeTransfer()
        let token = try #require(drain(transfer.readable(attempt, canMove: true, now: start)))
        // No peer is to blame while nothing is read.
        #expect(transfer.timePassed(now: start + .seconds(3)) == [])
        #expect(transfer.drained(token: token, now: start + .seconds(3)) == [.move(attempt, count: 600)])
        transfer.moveStarted(attempt)
        let end = transfer.moved(attempt, bytes: 600, end: .complete, canHash: false, now: start + .seconds(4))
        #expect(end == [.release(attempt), .end(.complete)])
        #expect(transfer.delivery.takenBytes == Self.size)
    }

    @Test func bytesOfTheNextPeerRestartTheDrainWhenAPeerResetsDuringIt() throws {
        var (transfer, attempt) = try makeTransfer()
        let first = try #require(drain(transfer.readable(attempt, canMove: true, now: start)))
        let next = try #require(asked(transfer.failed(attempt, .closed("reset"), now: start)))
        // The other peer's bytes are written behind those that the drain awaits.
        takeBytes(&transfer, next, 100)
        let second = try #require(drain(transfer.readable(next.attempt, canMove: true, now: start)))
        #expect(first != second)
        // The first drain says nothing of them: the kernel must not move bytes past the channel yet.
        #expect(transfer.drained(token: first, now: start) == [])
        #expect(transfer.drained(token: second, now: start) == [.move(next.attempt, count: 500)])
    }

    @Test func smallRestOfTheNextPeerWaitsForTheDrainToo() throws {
        var (transfer, attempt) = try makeTransfer()
        let first = try #require(drain(transfer.readable(attempt, canMove: true, now: start)))
        let next = try #require(asked(transfer.failed(attempt, .closed("reset"), now: start)))
        takeBytes(&transfer, next, 550)
        // Fewer bytes are left than the kernel would move: they are read on after the drain.
        let second = try #require(drain(transfer.readable(next.attempt, canMove: true, now: start)))
        #expect(transfer.drained(token: first, now: start) == [])
        #expect(transfer.drained(token: second, now: start) == [.read(next.attempt)])
    }

    @Test func drainThatEndsAfterItsPeerFailedMovesNothing() throws {
        var (transfer, attempt) = try makeTransfer()
        let token = try #require(drain(transfer.readable(attempt, canMove: true, now: start)))
        let next = try #require(asked(transfer.failed(attempt, .closed("reset"), now: start)))
        #expect(transfer.drained(token: token, now: start) == [])
        takeBytes(&transfer, next, 100)
        let later = try #require(drain(transfer.readable(next.attempt, canMove: true, now: start)))
        #expect(transfer.drained(token: later, now: start) == [.move(next.attempt, count: 500)])
    }

    @Test func nextPeerIsThrottledWhenItTakesOverFromAThrottledOne() throws {
        var (transfer, attempt) = try makeTransfer(isPaced: true)
        #expect(transfer.readable(attempt, canMove: false, now: start) == [.flush(attempt)])
        #expect(transfer.flushed(attempt, clientIsWritable: true, now: start) == [.pace(400)])
        let next = try #require(asked(transfer.failed(attempt, .closed("reset"), now: start)))
        takeBytes(&transfer, next, 100)
        #expect(transfer.readable(next.attempt, canMove: false, now: start) == [.flush(next.attempt)])
        // The rate still holds back the bytes of the first peer: the next one waits in its place.
        #expect(transfer.flushed(next.attempt, clientIsWritable: true, now: start) == [])
        #expect(transfer.granted(clientIsWritable: true, now: start) == [.read(next.attempt)])
    }

    @Test func clientThatTakesNothingHoldsTheNextPeerToo() throws {
        var (transfer, attempt) = try makeTransfer()
        #expect(transfer.readable(attempt, canMove: false, now: start) == [.flush(attempt)])
        #expect(transfer.flushed(attempt, clientIsWritable: false, now: start) == [])
        #expect(transfer.timePassed(now: start + .seconds(60)) == [])
        let next = try #require(asked(transfer.failed(attempt, .closed("reset"), now: start)))
        takeBytes(&transfer, next, 100)
        _ = transfer.readable(next.attempt, canMove: false, now: start)
        #expect(transfer.flushed(next.attempt, clientIsWritable: false, now: start) == [])
        #expect(transfer.clientWritable(true, now: start) == [.read(next.attempt)])
        // It takes bytes now, so a peer that sends none is to blame.
        #expect(transfer.timePassed(now: start + .seconds(2)).first == .cancel(next.attempt))
    }

    // MARK: The client

    @Test func countOfTheKernelIsAwaitedWhenTheClientLeaves() throws {
        for end in [MoveEnd.complete, .stopped] {
            var (transfer, attempt) = try makeTransfer()
            #expect(transfer.clientClosedWhileMoving() == [])
            let token = try #require(drain(transfer.readable(attempt, canMove: true, now: start)))
            _ = transfer.drained(token: token, now: start)
            transfer.moveStarted(attempt)
            #expect(transfer.clientClosedWhileMoving() == [.stopMoving(attempt)])
            let bytes: Int64 = end == .complete ? 600 : 10
            let actions = transfer.moved(attempt, bytes: bytes, end: end, canHash: false, now: start)
            #expect(actions.last == .end(end == .complete ? .complete : .clientGone))
        }
    }

    @Test func refusedMoveIsNotTriedAgain() throws {
        var (transfer, attempt) = try makeTransfer()
        let token = try #require(drain(transfer.readable(attempt, canMove: true, now: start)))
        #expect(transfer.drained(token: token, now: start) == [.move(attempt, count: 600)])
        #expect(transfer.moveRefused(attempt) == [.read(attempt)])
        _ = transfer.received(bytes: 100, of: attempt, now: start)
        #expect(transfer.readable(attempt, canMove: true, now: start) == [.flush(attempt)])
    }

    @Test func loserIsReadOnUntilAPeerHasWon() throws {
        var limits = TransferLimits()
        limits.checkedSize = 0
        var transfer = Transfer(TransferRequest(isHead: false, kind: .blob), limits: limits, now: start)
        let peer = Peer(id: "one", addresses: [PeerAddress(ip: "192.0.2.1", port: 5000)])
        let request = try #require(asked(transfer.found(peer, now: start)))
        transfer.connected(request.attempt, reused: false, now: start)
        _ = transfer.received(PeerResponse(status: 200, contentLength: 10), of: request.attempt, now: start)
        #expect(transfer.readable(request.attempt, canMove: true, now: start) == [.read(request.attempt)])
    }
}
