import OCI
import Testing
import Time

@testable import Mirroring

/// Providers that are left in the middle of a body, without I/O.
struct TransferRateTests {
    private let start = MonotonicTime(nanoseconds: 1_000_000_000)
    private let size: Int64 = 100_000_000
    private let expected = 12_500_000.0

    private func makeTransfer(_ names: [String], isPaced: Bool = false) throws -> (Transfer, PeerRequest) {
        var limits = TransferLimits()
        limits.isPaced = isPaced
        let request = TransferRequest(isHead: false, kind: .blob, digest: try testDigest(1))
        var transfer = Transfer(request, limits: limits, now: start)
        transfer.lookupStarted(now: start)
        var first: PeerRequest?
        for (number, name) in names.enumerated() {
            let peer = Peer(id: name, addresses: [PeerAddress(ip: "192.0.2.\(number)", port: 5000)])
            let request = asked(transfer.found(peer, now: start))
            first = first ?? request
        }
        _ = transfer.lookupEnded(now: start)
        return (transfer, try #require(first))
    }

    private func asked(_ actions: [TransferAction]) -> PeerRequest? {
        for case .ask(let request) in actions { return request }
        return nil
    }

    private func begin(_ transfer: inout Transfer, _ request: PeerRequest, now: MonotonicTime) {
        transfer.connected(request.attempt, reused: false, now: now)
        var head = PeerResponse(status: 200, contentLength: size, contentType: "application/octet-stream")
        if case .rest(_, let offset) = request.part {
            head = PeerResponse(
                status: 206,
                contentLength: size - offset,
                contentType: "application/octet-stream",
                contentRange: "bytes \(offset)-\(size - 1)/\(size)"
            )
        }
        #expect(transfer.received(head, of: request.attempt, now: now).isEmpty)
        _ = transfer.received(bytes: 1000, of: request.attempt, now: now)
    }

    /// Lets a slow body come until the provider is left.
    private func runSlowly(
        _ transfer: inout Transfer,
        _ request: PeerRequest,
        now: inout MonotonicTime,
        clientWasFull: Bool = false
    ) -> [TransferAction] {
        for _ in 0..<20 {
            now = max(now, transfer.deadline ?? now)
            guard let due = transfer.sampledAttempt(now: now) else { return transfer.timePassed(now: now) }
            #expect(due == request.attempt)
            _ = transfer.received(bytes: 250_000, of: request.attempt, now: now)
            let actions = transfer.sampled(
                due,
                movedBytes: 0,
                clientWasFull: clientWasFull,
                expected: expected,
                now: now
            )
            if !actions.isEmpty { return actions }
        }
        return []
    }

    @Test func continuesElsewhereAtTheByteReached() throws {
        var (transfer, request) = try makeTransfer(["slow", "fast"])
        var now = start
        begin(&transfer, request, now: now)
        let actions = runSlowly(&transfer, request, now: &now)
        #expect(actions.first == .cancel(request.attempt) && now - start <= .seconds(2))
        let next = try #require(asked(actions))
        guard case .rest(_, let offset) = next.part else {
            Issue.record("the body begins anew")
            return
        }
        #expect(next.peerID == "fast" && offset == transfer.delivery.takenBytes)
        #expect(transfer.failures.map(\.failure) == [.slow])
    }

    /// A transfer never goes back and forth.
    @Test func slowProvidersAreLeftOnceEach() throws {
        var (transfer, request) = try makeTransfer(["a", "b", "c", "d"])
        var now = start
        var order = [request.peerID]
        for _ in 0..<6 {
            begin(&transfer, request, now: now)
            guard let next = asked(runSlowly(&transfer, request, now: &now)) else { break }
            request = next
            order.append(next.peerID)
        }
        #expect(order == ["a", "b", "c"])
        // Those that were left come after all others if the present one fails.
        for name in ["d", "a", "b"] {
            request = try #require(asked(transfer.failed(request.attempt, .closed("reset"), now: now)))
            #expect(request.peerID == name)
        }
    }

    @Test func onlyProviderIsKept() throws {
        var (transfer, request) = try makeTransfer(["slow"])
        var now = start
        begin(&transfer, request, now: now)
        #expect(runSlowly(&transfer, request, now: &now).isEmpty)
        #expect(transfer.failures.isEmpty)
    }

    @Test func slowClientIsNoReason() throws {
        var (transfer, request) = try makeTransfer(["slow", "fast"])
        var now = start
        begin(&transfer, request, now: now)
        #expect(runSlowly(&transfer, request, now: &now, clientWasFull: true).isEmpty)
    }

    @Test func downloadRateIsNoReason() throws {
        var (transfer, request) = try makeTransfer(["slow", "fast"], isPaced: true)
        var now = start
        begin(&transfer, request, now: now)
        #expect(runSlowly(&transfer, request, now: &now).isEmpty)
    }

    /// The kernel first hands over all that came, so that no byte is lost.
    @Test func kernelIsAskedToLeave() throws {
        var (transfer, request) = try makeTransfer(["slow", "fast"])
        begin(&transfer, request, now: start)
        transfer.moveStarted(request.attempt)
        var now = start
        var actions: [TransferAction] = []
        var moved: Int64 = 0
        while actions.isEmpty, now < start + .seconds(5) {
            now = try #require(transfer.deadline)
            moved += 250_000
            actions = transfer.sampled(
                request.attempt,
                movedBytes: moved,
                clientWasFull: false,
                expected: expected,
                now: now
            )
        }
        #expect(actions == [.leave(request.attempt)] && now <= start + .seconds(2))
        let end = transfer.moved(request.attempt, bytes: moved, end: .stopped, canHash: false, now: now)
        let next = try #require(asked(end))
        guard case .rest(_, 1000 + moved) = next.part else {
            Issue.record("it does not continue at the byte reached")
            return
        }
        #expect(transfer.failures.map(\.failure) == [.slow])
    }
}
