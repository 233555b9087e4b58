import OCI
import Testing
import Time

@testable import Mirroring

/// A second peer beside a slow one, and content that is checked before it goes out; without I/O.
struct TransferHedgingTests {
    static let digest = Digest(algorithm: .sha256, bytes: [UInt8](repeating: 7, count: 32))
    private let start = MonotonicTime(nanoseconds: 1_000_000_000)

    private func makeTransfer(checkedSize: Int64 = 0, isHead: Bool = false) -> Transfer {
        var limits = TransferLimits()
        limits.checkedSize = checkedSize
        limits.hedgeDelay = .milliseconds(50)
        let request = TransferRequest(isHead: isHead, kind: .blob, digest: Self.digest, range: nil)
        var transfer = Transfer(request, limits: limits, now: start)
        transfer.lookupStarted(now: start)
        return transfer
    }

    private func provider(_ number: Int) -> Peer {
        Peer(id: "peer\(number)", addresses: [PeerAddress(ip: "192.0.2.\(number)", port: 5000)])
    }

    private func head(length: Int64 = 1000, _ status: Int = 200, range: String? = nil) -> PeerResponse {
        PeerResponse(
            status: status,
            contentLength: length,
            contentType: "application/octet-stream",
            contentRange: range
        )
    }

    private func forwarded(dropFirst: Int) -> ChunkDecision {
        ChunkDecision(use: .forward(head: nil, dropFirst: dropFirst))
    }

    private func asked(_ actions: [TransferAction]) -> PeerRequest? {
        for case .ask(let request) in actions { return request }
        return nil
    }

    // MARK: Hedging

    @Test func hedgesWhenAPeerIsSlow() throws {
        var transfer = makeTransfer()
        let first = try #require(asked(transfer.found(provider(1), now: start)))
        _ = transfer.found(provider(2), now: start)
        transfer.connected(first.attempt, reused: false, now: start)
        #expect(transfer.deadline == start + .milliseconds(50))
        #expect(transfer.timePassed(now: start + .milliseconds(49)) == [])
        let second = try #require(asked(transfer.timePassed(now: start + .milliseconds(50))))
        #expect(second.peerID == "peer2" && second.part == .whole && transfer.hedges == 1)
        transfer.connected(second.attempt, reused: false, now: start + .milliseconds(51))
        // The first one answers first after all, but the second one is the first to send a byte.
        #expect(transfer.received(head(), of: first.attempt, now: start + .milliseconds(52)) == [])
        #expect(transfer.received(head(), of: second.attempt, now: start + .milliseconds(53)) == [])
        let decision = transfer.received(bytes: 10, of: second.attempt, now: start + .milliseconds(54))
        #expect(
            decision.actions == [.firstByte(peerID: "peer2", after: .milliseconds(4)), .cancel(first.attempt)]
        )
        guard case .forward(.some, 0) = decision.use else {
            Issue.record("the bytes of the winner are forwarded with the head")
            return
        }
        #expect(transfer.lastPeer?.id == "peer2" && transfer.failures.isEmpty)
        #expect(transfer.received(bytes: 10, of: first.attempt, now: start) == .drop)
    }

    @Test func returnsToSlowPeerWhenTheWinnerFails() throws {
        var transfer = makeTransfer()
        let first = try #require(asked(transfer.found(provider(1), now: start)))
        _ = transfer.found(provider(2), now: start)
        _ = transfer.lookupEnded(now: start)
        transfer.connected(first.attempt, reused: false, now: start)
        let second = try #require(asked(transfer.timePassed(now: start + .milliseconds(50))))
        transfer.connected(second.attempt, reused: false, now: start)
        _ = transfer.received(head(), of: second.attempt, now: start)
        _ = transfer.received(bytes: 400, of: second.attempt, now: start)
        let third = try #require(asked(transfer.failed(second.attempt, .closed("reset"), now: start)))
        #expect(third.peerID == "peer1" && third.part.headerValue == "bytes=400-999")
    }

    @Test func aProviderThatIsFoundLateIsAskedAtOnceBesideASlowOne() throws {
        var transfer = makeTransfer()
        let first = try #require(asked(transfer.found(provider(1), now: start)))
        transfer.connected(first.attempt, reused: false, now: start)
        #expect(transfer.timePassed(now: start + .milliseconds(50)) == [])
        let second = transfer.found(provider(2), now: start + .milliseconds(60))
        #expect(asked(second)?.peerID == "peer2")
        // A third one waits twice as long.
        #expect(transfer.found(provider(3), now: start + .milliseconds(159)) == [])
        #expect(transfer.deadline == start + .milliseconds(160))
        #expect(asked(transfer.timePassed(now: start + .milliseconds(160)))?.peerID == "peer3")
    }

    /// Where many are frozen, the one that is not is found soon.
    @Test(arguments: [50, 250, 1000])
    func asksFifthPeerWhenOneOfFourTimesOut(delay: Int64) throws {
        var limits = TransferLimits()
        limits.hedgeDelay = .milliseconds(delay)
        let request = TransferRequest(isHead: false, kind: .blob, digest: Self.digest, range: nil)
        var transfer = Transfer(request, limits: limits, now: start)
        var requests: [(PeerRequest, MonotonicTime)] = []
        var now = start
        var open: Set<Int> = []
        func take(_ actions: [TransferAction]) {
            for action in actions {
                switch action {
                case .ask(let request):
                    requests.append((request, now))
                    open.insert(request.attempt)
                    transfer.connected(request.attempt, reused: false, now: now)
                case .cancel(let attempt): open.remove(attempt)
                default: break
                }
            }
            #expect(open.count <= 4)
        }
        for number in 1...5 { take(transfer.found(provider(number), now: now)) }
        take(transfer.lookupEnded(now: now))
        while requests.count < 5 {
            now = try #require(transfer.deadline)
            take(transfer.timePassed(now: now))
        }
        let times = requests.map { Int64(($0.1 - start) / .milliseconds(1)) }
        #expect(times[1] == delay && times[2] == min(3 * delay, 2000) && times[4] <= 4000)
        if delay <= 250 { #expect(times[3] == 6 * delay && times[4] == 2000) }
    }

    @Test func keepsSlowPeerWhenSecondRefuses() throws {
        var transfer = makeTransfer()
        let first = try #require(asked(transfer.found(provider(1), now: start)))
        _ = transfer.found(provider(2), now: start)
        _ = transfer.lookupEnded(now: start)
        transfer.connected(first.attempt, reused: false, now: start)
        let second = try #require(asked(transfer.timePassed(now: start + .milliseconds(50))))
        transfer.connected(second.attempt, reused: false, now: start + .milliseconds(50))
        let refused = transfer.received(PeerResponse(status: 404), of: second.attempt, now: start)
        #expect(refused == [.cancel(second.attempt)])
        #expect(!transfer.isFinished)
        _ = transfer.received(head(), of: first.attempt, now: start)
        _ = transfer.received(bytes: 1000, of: first.attempt, now: start)
        #expect(transfer.ended(first.attempt, now: start) == [.release(first.attempt), .end(.complete)])
    }

    @Test func firstHeadWinsForHeadRequest() throws {
        var transfer = makeTransfer(isHead: true)
        let first = try #require(asked(transfer.found(provider(1), now: start)))
        _ = transfer.found(provider(2), now: start)
        transfer.connected(first.attempt, reused: false, now: start)
        let second = try #require(asked(transfer.timePassed(now: start + .milliseconds(50))))
        transfer.connected(second.attempt, reused: false, now: start)
        _ = transfer.received(head(), of: second.attempt, now: start)
        let end = transfer.ended(second.attempt, now: start)
        #expect(end.contains(.cancel(first.attempt)) && end.last == .end(.complete))
    }

    // MARK: Checking

    @Test func smallContentIsHeldBackUntilItWasChecked() throws {
        var transfer = makeTransfer(checkedSize: 1000)
        let first = try #require(asked(transfer.found(provider(1), now: start)))
        transfer.connected(first.attempt, reused: false, now: start)
        _ = transfer.received(head(), of: first.attempt, now: start)
        guard case .hold(let promised, 0) = transfer.received(bytes: 1000, of: first.attempt, now: start).use else {
            Issue.record("small content is held back")
            return
        }
        #expect(transfer.delivery.content == nil)
        #expect(transfer.ended(first.attempt, now: start) == [.verify(first.attempt, promised)])
        let end = transfer.verified(first.attempt, matches: true, now: start)
        #expect(end == [.cancelLookup, .release(first.attempt), .sendHead(promised), .sendHeld, .end(.complete)])
    }

    @Test func aWrongCopyCostsATryAtTheNextPeer() throws {
        let digest = try #require(Self.digest)
        var transfer = makeTransfer(checkedSize: 1000)
        let first = try #require(asked(transfer.found(provider(1), now: start)))
        _ = transfer.found(provider(2), now: start)
        _ = transfer.lookupEnded(now: start)
        transfer.connected(first.attempt, reused: false, now: start)
        _ = transfer.received(head(), of: first.attempt, now: start)
        _ = transfer.received(bytes: 1000, of: first.attempt, now: start)
        _ = transfer.ended(first.attempt, now: start)
        let actions = transfer.verified(first.attempt, matches: false, now: start)
        let second = try #require(asked(actions))
        #expect(actions.prefix(3) == [.ban(peerID: "peer1", digest), .cancel(first.attempt), .discardHeld])
        #expect(second.peerID == "peer2" && second.part == .whole)
        #expect(transfer.failures.map(\.failure) == [.corrupt])
    }

    @Test func endsNotFoundWhenTheOnlyCopyIsCorrupt() throws {
        var transfer = makeTransfer(checkedSize: 1000)
        let first = try #require(asked(transfer.found(provider(1), now: start)))
        _ = transfer.lookupEnded(now: start)
        transfer.connected(first.attempt, reused: false, now: start)
        _ = transfer.received(head(), of: first.attempt, now: start)
        _ = transfer.received(bytes: 1000, of: first.attempt, now: start)
        _ = transfer.ended(first.attempt, now: start)
        #expect(transfer.verified(first.attempt, matches: false, now: start).last == .end(.notFound))
    }

    @Test func aPeerThatFailsWhileItsBytesAreHeldBackCostsTheClientNothing() throws {
        var transfer = makeTransfer(checkedSize: 1000)
        let first = try #require(asked(transfer.found(provider(1), now: start)))
        _ = transfer.found(provider(2), now: start)
        transfer.connected(first.attempt, reused: false, now: start)
        _ = transfer.received(head(), of: first.attempt, now: start)
        _ = transfer.received(bytes: 300, of: first.attempt, now: start)
        let actions = transfer.failed(first.attempt, .closed("reset"), now: start)
        #expect(actions.contains(.discardHeld) && transfer.delivery.takenBytes == 0)
        #expect(asked(actions)?.part == .whole)
    }

    @Test func withoutRoomOnlyTheEndIsHeldBack() throws {
        let digest = try #require(Self.digest)
        var transfer = makeTransfer(checkedSize: 1000)
        let first = try #require(asked(transfer.found(provider(1), now: start)))
        _ = transfer.found(provider(2), now: start)
        transfer.connected(first.attempt, reused: false, now: start)
        _ = transfer.received(head(), of: first.attempt, now: start)
        guard case .hold(let promised, 0) = transfer.received(bytes: 600, of: first.attempt, now: start).use else {
            Issue.record("small content is held back")
            return
        }
        #expect(transfer.cannotHold(promised) == promised)
        #expect(transfer.received(bytes: 400, of: first.attempt, now: start) == forwarded(dropFirst: 0))
        #expect(transfer.ended(first.attempt, now: start) == [.verify(first.attempt, promised)])
        let end = transfer.verified(first.attempt, matches: false, now: start)
        // The client has wrong bytes: it must not get the end of them, and no other peer can mend them.
        #expect(
            end == [
                .ban(peerID: "peer1", digest), .cancelLookup, .cancel(first.attempt), .discardHeld, .end(.cutShort),
            ]
        )
    }

    @Test func largeContentIsNotHeldBack() throws {
        var transfer = makeTransfer(checkedSize: 999)
        let first = try #require(asked(transfer.found(provider(1), now: start)))
        transfer.connected(first.attempt, reused: false, now: start)
        _ = transfer.received(head(), of: first.attempt, now: start)
        guard case .forward(.some, 0) = transfer.received(bytes: 1, of: first.attempt, now: start).use else {
            Issue.record("large content is forwarded")
            return
        }
    }
}
