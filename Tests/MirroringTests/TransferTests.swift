import OCI
import Testing
import Time

@testable import Mirroring

/// The rules of a mirrored request, one by one, without I/O.
struct TransferTests {
    static let digest = Digest(algorithm: .sha256, bytes: [UInt8](repeating: 7, count: 32))
    static let size: Int64 = 1000

    private let start = MonotonicTime(nanoseconds: 1_000_000_000)

    private func makeTransfer(
        isHead: Bool = false,
        kind: DistributionRequest.Kind = .blob,
        byTag: Bool = false,
        range: ByteRange? = nil,
        checkedSize: Int64 = 0
    ) -> Transfer {
        let request = TransferRequest(
            isHead: isHead,
            kind: kind,
            digest: byTag ? nil : Self.digest,
            range: range
        )
        var limits = TransferLimits()
        limits.checkedSize = checkedSize
        var transfer = Transfer(request, limits: limits, now: start)
        transfer.lookupStarted(now: start)
        return transfer
    }

    private func provider(_ number: Int, addresses: Int = 1) -> Peer {
        let found = (0..<addresses).map { PeerAddress(ip: "192.0.2.\(number)", port: 5000 + $0) }
        return Peer(id: "peer\(number)", addresses: found)
    }

    private func head(length: Int64 = Self.size, _ status: Int = 200, range: String? = nil) -> PeerResponse {
        PeerResponse(
            status: status,
            contentLength: length,
            contentType: "application/octet-stream",
            contentRange: range,
            digest: Self.digest?.text
        )
    }

    private func forwarded(dropFirst: Int) -> ChunkDecision {
        ChunkDecision(use: .forward(head: nil, dropFirst: dropFirst))
    }

    private func asked(_ actions: [TransferAction]) -> PeerRequest? {
        for case .ask(let request) in actions { return request }
        return nil
    }

    private var busy: PeerResponse {
        var head = PeerResponse(status: 503, contentLength: 0)
        head.mayRetry = true
        return head
    }

    @Test func asksBusyPeerAgainUntilTheDeadline() throws {
        var transfer = makeTransfer()
        var request = asked(transfer.found(provider(1), now: start))
        _ = transfer.lookupEnded(now: start)
        var now = start
        var asks = 0
        while let current = request {
            asks += 1
            transfer.connected(current.attempt, reused: false, now: now)
            let actions = transfer.received(busy, of: current.attempt, now: now)
            #expect(actions == [.cancel(current.attempt)])
            let next = try #require(transfer.deadline)
            #expect(next <= start + .seconds(30) && next > now)
            now = next
            let after = transfer.timePassed(now: now)
            request = asked(after)
            if request == nil { #expect(after == [.end(.unavailable)]) }
        }
        #expect(asks == 60 && now == start + .seconds(30) && transfer.isFinished)
        // It is reported once.
        #expect(transfer.failures.map(\.failure) == [.busy])
    }

    @Test func asksSlowPeerAgainTwice() throws {
        var transfer = makeTransfer()
        var request = asked(transfer.found(provider(1), now: start))
        _ = transfer.lookupEnded(now: start)
        var now = start
        var waits: [Duration] = []
        while let current = request {
            transfer.connected(current.attempt, reused: false, now: now)
            let deadline = try #require(transfer.deadline)
            waits.append(deadline - now)
            now = deadline
            let actions = transfer.timePassed(now: now) { $0 == "peer1" }
            #expect(actions.first == .cancel(current.attempt) && asked(actions) == nil)
            guard !transfer.isFinished else { break }
            now = try #require(transfer.deadline)
            request = asked(transfer.timePassed(now: now) { _ in true })
        }
        #expect(waits == Array(repeating: .seconds(2), count: 3) && now == start + .seconds(7))
        #expect(transfer.failures.map(\.failure) == Array(repeating: .headTimeout, count: 3))
    }

    @Test func asksSlowPeerForTheRestUnlessAnotherHasIt() throws {
        for hasOther in [false, true] {
            var transfer = makeTransfer()
            let request = try #require(asked(transfer.found(provider(1), now: start)))
            if hasOther { _ = transfer.found(provider(2), now: start) }
            _ = transfer.lookupEnded(now: start)
            transfer.connected(request.attempt, reused: false, now: start)
            _ = transfer.received(head(), of: request.attempt, now: start)
            _ = transfer.received(bytes: 400, of: request.attempt, now: start)
            let stalled = start + .seconds(2)
            var next = asked(transfer.timePassed(now: stalled) { $0 == "peer1" })
            #expect((next != nil) == hasOther)
            if !hasOther {
                // Another peer may have the rest by now.
                let actions = transfer.lookupEnded(now: stalled)
                #expect(actions == [])
                next = asked(transfer.timePassed(now: stalled + .milliseconds(500)))
            }
            #expect(next?.peerID == (hasOther ? "peer2" : "peer1") && next?.part.headerValue == "bytes=400-999")
        }
    }

    @Test func needsNoMoreProvidersThanItAsks() throws {
        var transfer = makeTransfer()
        for number in 1...3 {
            #expect(transfer.needsProviders)
            _ = transfer.found(provider(number), now: start)
        }
        #expect(!transfer.needsProviders)
        var other = makeTransfer()
        _ = other.clientClosed()
        #expect(!other.needsProviders)
    }

    @Test func asksAnotherPeerBeforeABusyOne() throws {
        var transfer = makeTransfer()
        let first = try #require(asked(transfer.found(provider(1), now: start)))
        transfer.connected(first.attempt, reused: false, now: start)
        let none = transfer.received(busy, of: first.attempt, now: start)
        #expect(asked(none) == nil)
        let second = try #require(asked(transfer.found(provider(2), now: start)))
        #expect(second.peerID == "peer2")
        _ = transfer.lookupEnded(now: start)
        transfer.connected(second.attempt, reused: false, now: start)
        let gone = transfer.received(head(length: 0, 404), of: second.attempt, now: start)
        #expect(!gone.contains(.end(.notFound)) && asked(gone) == nil)
        let again = transfer.timePassed(now: start + .milliseconds(500))
        #expect(asked(again)?.peerID == "peer1")
        // In the end it lacks the content as well, and nothing is left to wait for.
        let last = try #require(asked(again))
        transfer.connected(last.attempt, reused: false, now: start + .milliseconds(500))
        let end = transfer.received(head(length: 0, 404), of: last.attempt, now: start + .milliseconds(500))
        #expect(end.last == .end(.notFound))
    }

    @Test func blamesNoPeerWhileAttemptWaitsForPermit() throws {
        var transfer = makeTransfer()
        let request = try #require(asked(transfer.found(provider(1), now: start)))
        _ = transfer.lookupEnded(now: start)
        transfer.queued(request.attempt)
        #expect(transfer.deadline == start + .seconds(30))
        let later = start + .seconds(20)
        let nothing = transfer.timePassed(now: later)
        #expect(nothing == [])
        transfer.permitted(request.attempt, now: later)
        #expect(transfer.deadline == later + .milliseconds(200))
        var other = makeTransfer()
        let waiting = try #require(asked(other.found(provider(1), now: start)))
        _ = other.lookupEnded(now: start)
        other.queued(waiting.attempt)
        let end = other.timePassed(now: start + .seconds(30))
        #expect(end == [.cancel(waiting.attempt), .end(.unavailable)])
    }

    @Test func relaysFromTheFirstProvider() throws {
        var transfer = makeTransfer()
        let request = try #require(asked(transfer.found(provider(1), now: start)))
        #expect(request.part == .whole)
        transfer.connected(request.attempt, reused: false, now: start)
        #expect(transfer.received(head(), of: request.attempt, now: start) == [])
        guard case .forward(let sent?, 0) = transfer.received(bytes: 600, of: request.attempt, now: start).use else {
            Issue.record("the first bytes bring the head")
            return
        }
        #expect(sent.size == Self.size && !sent.isPartial)
        #expect(
            transfer.received(bytes: 400, of: request.attempt, now: start) == forwarded(dropFirst: 0)
        )
        let end = transfer.ended(request.attempt, now: start)
        #expect(end == [.cancelLookup, .release(request.attempt), .end(.complete)])
        #expect(transfer.deadline == nil)
    }

    @Test func endsNotFoundWhenNoProviderIsFoundInTime() {
        var transfer = makeTransfer()
        #expect(transfer.deadline == start + .milliseconds(20))
        #expect(transfer.timePassed(now: start + .milliseconds(19)) == [])
        #expect(transfer.timePassed(now: start + .milliseconds(20)) == [.cancelLookup, .end(.notFound)])
        #expect(transfer.isFinished)
    }

    @Test func resolveTimeoutRunsFromWhenTheLookupStarts() {
        let request = TransferRequest(isHead: false, kind: .blob, digest: Self.digest, range: nil)
        var transfer = Transfer(request, limits: TransferLimits(), now: start)
        #expect(transfer.timePassed(now: start + .milliseconds(500)) == [])
        transfer.lookupStarted(now: start + .milliseconds(500))
        #expect(transfer.timePassed(now: start + .milliseconds(519)) == [])
        #expect(transfer.timePassed(now: start + .milliseconds(520)) == [.cancelLookup, .end(.notFound)])
    }

    @Test func anEmptyLookupIsNotFoundAtOnce() {
        var transfer = makeTransfer()
        #expect(transfer.lookupEnded(now: start) == [.end(.notFound)])
    }

    @Test func resolveTimeoutBoundsOnlyTheFirstProvider() throws {
        var transfer = makeTransfer()
        let first = try #require(asked(transfer.found(provider(1), now: start)))
        let failed = transfer.failed(first.attempt, .cannotConnect("refused"), now: start + .milliseconds(1))
        #expect(failed == [.cancel(first.attempt)])
        #expect(transfer.timePassed(now: start + .milliseconds(500)) == [])
        let second = transfer.found(provider(2), now: start + .milliseconds(600))
        #expect(asked(second)?.peerID == "peer2")
    }

    @Test func lookupEndsAtItsOwnDeadline() throws {
        var transfer = makeTransfer()
        let first = try #require(asked(transfer.found(provider(1), now: start)))
        _ = transfer.failed(first.attempt, .cannotConnect("refused"), now: start)
        #expect(transfer.timePassed(now: start + .seconds(1)) == [.cancelLookup, .end(.notFound)])
    }

    @Test func allThatWereFoundAreAsked() throws {
        var transfer = makeTransfer()
        var actions: [TransferAction] = []
        for number in 1...5 { actions += transfer.found(provider(number), now: start) }
        var peers: [String] = []
        while let request = asked(actions) {
            peers.append(request.peerID)
            transfer.connected(request.attempt, reused: false, now: start)
            actions = transfer.received(PeerResponse(status: 404), of: request.attempt, now: start)
        }
        #expect(peers == (1...5).map { "peer\($0)" })
        let end = transfer.lookupEnded(now: start)
        #expect(end.last == .end(.notFound))
        #expect(transfer.failures.map(\.failure) == Array(repeating: .refused(.notFound), count: 5))
    }

    @Test func triesOtherAddressesOfAProvider() throws {
        var transfer = makeTransfer()
        let first = try #require(asked(transfer.found(provider(1, addresses: 2), now: start)))
        _ = transfer.found(provider(2), now: start)
        let second = try #require(asked(transfer.failed(first.attempt, .cannotConnect("refused"), now: start)))
        #expect(second.peerID == "peer1" && second.address.port == 5001)
    }

    @Test func aBlackHoledProviderIsAskedAgainLast() throws {
        var transfer = makeTransfer()
        let first = try #require(asked(transfer.found(provider(1, addresses: 2), now: start)))
        _ = transfer.found(provider(2), now: start)
        let late = start + .milliseconds(200)
        let second = try #require(asked(transfer.timePassed(now: late)))
        #expect(second.peerID == "peer2")
        #expect(transfer.failures.map(\.failure) == [.connectTimeout])
        #expect(second.attempt != first.attempt)
    }

    /// The packet that opens a connection may be lost: who has answered others a moment ago is tried again.
    @Test func aPeerThatIsOnlySlowIsConnectedToAgain() throws {
        var transfer = makeTransfer()
        let first = try #require(asked(transfer.found(provider(1, addresses: 2), now: start)))
        _ = transfer.lookupEnded(now: start)
        var now = start + .milliseconds(200)
        let second = try #require(asked(transfer.timePassed(now: now) { _ in true }))
        #expect(second.address != first.address)
        for _ in 0..<2 {
            now = now + .milliseconds(200)
            #expect(transfer.timePassed(now: now) { _ in true }.count == 1 && !transfer.isFinished)
            now = now + .milliseconds(500)
            #expect(transfer.deadline == now)
            // At all its addresses, as the other one may be the one that does not exist.
            let again = try #require(asked(transfer.timePassed(now: now)))
            #expect(again.address == first.address)
            now = now + .milliseconds(200)
            #expect(asked(transfer.timePassed(now: now) { _ in true })?.address == second.address)
        }
        #expect(transfer.timePassed(now: now + .milliseconds(200)) { _ in true }.last == .end(.notFound))
        #expect(transfer.failures.map(\.failure) == [AttemptFailure](repeating: .connectTimeout, count: 6))
    }

    @Test func hurriedPeerHasLessTimeForItsHead() throws {
        for isHurried in [false, true] {
            var transfer = makeTransfer()
            let first = try #require(asked(transfer.found(provider(1), now: start)))
            #expect(transfer.peerID(of: first.attempt) == "peer1")
            _ = transfer.lookupEnded(now: start)
            if isHurried { transfer.hurry(first.attempt) }
            transfer.connected(first.attempt, reused: false, now: start)
            let limits = TransferLimits()
            let limit = isHurried ? limits.hurriedHeadTimeout : limits.headTimeout
            #expect(transfer.timePassed(now: start + (limit - .nanoseconds(1))) == [])
            #expect(transfer.timePassed(now: start + limit) == [.cancel(first.attempt), .end(.notFound)])
            #expect(transfer.failures.map(\.failure) == [.headTimeout])
            #expect(transfer.failures.allSatisfy { $0.failure.isSilence })
            #expect(transfer.peerID(of: first.attempt) == nil)
        }
    }

    @Test func aReusedConnectionThatIsDeadIsReplacedOnce() throws {
        var transfer = makeTransfer()
        let first = try #require(asked(transfer.found(provider(1), now: start)))
        _ = transfer.lookupEnded(now: start)
        transfer.connected(first.attempt, reused: true, now: start)
        let second = try #require(asked(transfer.failed(first.attempt, .closed("reset"), now: start)))
        #expect(second.address == first.address && !second.mayReuse)
        #expect(transfer.failures.isEmpty)
        transfer.connected(second.attempt, reused: false, now: start)
        #expect(
            transfer.failed(second.attempt, .closed("reset"), now: start) == [.cancel(second.attempt), .end(.notFound)]
        )
    }

    @Test func resumesAtNextPeerWhenHolderFails() throws {
        var transfer = makeTransfer()
        let first = try #require(asked(transfer.found(provider(1), now: start)))
        _ = transfer.found(provider(2), now: start)
        transfer.connected(first.attempt, reused: false, now: start)
        _ = transfer.received(head(), of: first.attempt, now: start)
        _ = transfer.received(bytes: 300, of: first.attempt, now: start)
        let second = try #require(asked(transfer.failed(first.attempt, .closed("reset"), now: start)))
        #expect(second.part.headerValue == "bytes=300-999")
        transfer.connected(second.attempt, reused: false, now: start)
        let answer = head(length: 700, 206, range: "bytes 300-999/1000")
        #expect(transfer.received(answer, of: second.attempt, now: start) == [])
        #expect(
            transfer.received(bytes: 700, of: second.attempt, now: start).use == forwarded(dropFirst: 0).use
        )
        #expect(transfer.ended(second.attempt, now: start).last == .end(.complete))
    }

    @Test func dropsLeadingBytesWhenPeerIgnoresTheRange() throws {
        var transfer = makeTransfer(kind: .manifest)
        let first = try #require(asked(transfer.found(provider(1), now: start)))
        _ = transfer.found(provider(2), now: start)
        transfer.connected(first.attempt, reused: false, now: start)
        _ = transfer.received(head(), of: first.attempt, now: start)
        _ = transfer.received(bytes: 300, of: first.attempt, now: start)
        let second = try #require(asked(transfer.failed(first.attempt, .closed("reset"), now: start)))
        transfer.connected(second.attempt, reused: false, now: start)
        #expect(transfer.received(head(), of: second.attempt, now: start) == [])
        #expect(transfer.received(bytes: 200, of: second.attempt, now: start).use == .drop)
        #expect(
            transfer.received(bytes: 800, of: second.attempt, now: start) == forwarded(dropFirst: 100)
        )
        #expect(transfer.ended(second.attempt, now: start).last == .end(.complete))
    }

    @Test func cutsShortWhenNoPeerIsLeftInMidBody() throws {
        var transfer = makeTransfer()
        let first = try #require(asked(transfer.found(provider(1), now: start)))
        _ = transfer.lookupEnded(now: start)
        transfer.connected(first.attempt, reused: false, now: start)
        _ = transfer.received(head(), of: first.attempt, now: start)
        _ = transfer.received(bytes: 1, of: first.attempt, now: start)
        let more = transfer.failed(first.attempt, .closed("reset"), now: start)
        #expect(more == [.cancel(first.attempt), .startLookup])
        let end = transfer.lookupEnded(now: start)
        #expect(end == [.end(.cutShort)])
    }

    @Test func aHeadWithoutABodyCostsTheClientNothing() throws {
        var transfer = makeTransfer()
        let first = try #require(asked(transfer.found(provider(1), now: start)))
        _ = transfer.lookupEnded(now: start)
        transfer.connected(first.attempt, reused: false, now: start)
        _ = transfer.received(head(), of: first.attempt, now: start)
        #expect(transfer.timePassed(now: start + .seconds(2)) == [.cancel(first.attempt), .end(.notFound)])
    }

    @Test func aTagIsNotGluedFromTwoManifests() throws {
        var transfer = makeTransfer(kind: .manifest, byTag: true)
        let first = try #require(asked(transfer.found(provider(1), now: start)))
        _ = transfer.found(provider(2), now: start)
        _ = transfer.lookupEnded(now: start)
        transfer.connected(first.attempt, reused: false, now: start)
        _ = transfer.received(head(), of: first.attempt, now: start)
        _ = transfer.received(bytes: 10, of: first.attempt, now: start)
        let second = try #require(asked(transfer.failed(first.attempt, .closed("reset"), now: start)))
        transfer.connected(second.attempt, reused: false, now: start)
        var other = head(length: 990, 206, range: "bytes 10-999/1000")
        other.digest = Digest(algorithm: .sha256, bytes: [UInt8](repeating: 8, count: 32))?.text
        let more = transfer.received(other, of: second.attempt, now: start)
        #expect(more == [.cancel(second.attempt), .startLookup])
    }

    @Test func aSlowClientIsNotHeldAgainstThePeer() throws {
        var transfer = makeTransfer()
        let first = try #require(asked(transfer.found(provider(1), now: start)))
        _ = transfer.lookupEnded(now: start)
        transfer.connected(first.attempt, reused: false, now: start)
        _ = transfer.received(head(), of: first.attempt, now: start)
        _ = transfer.received(bytes: 10, of: first.attempt, now: start)
        _ = transfer.clientWritable(false, now: start)
        #expect(transfer.deadline == nil)
        #expect(transfer.timePassed(now: start + .seconds(100)) == [])
        _ = transfer.clientWritable(true, now: start + .seconds(100))
        // A look at the rate is overdue.
        #expect(transfer.sampledAttempt(now: start + .seconds(100)) == first.attempt)
        _ = transfer.sampled(
            first.attempt,
            movedBytes: 0,
            clientWasFull: false,
            expected: 1,
            now: start + .seconds(100)
        )
        #expect(transfer.deadline == start + .milliseconds(100_500))
        #expect(transfer.timePassed(now: start + .milliseconds(101_999)).isEmpty)
        #expect(transfer.timePassed(now: start + .seconds(102)).last == .startLookup)
    }

    @Test func cancelsAllWhenTheClientLeaves() throws {
        var transfer = makeTransfer()
        let first = try #require(asked(transfer.found(provider(1), now: start)))
        #expect(transfer.clientClosed() == [.cancelLookup, .cancel(first.attempt), .end(.clientGone)])
        #expect(transfer.found(provider(2), now: start) == [])
    }

    @Test func rangesAreCheckedAndAnswered() throws {
        var transfer = makeTransfer(range: .from(990))
        let first = try #require(asked(transfer.found(provider(1), now: start)))
        _ = transfer.found(provider(2), now: start)
        transfer.connected(first.attempt, reused: false, now: start)
        let wrong = head(length: 10, 206, range: "bytes 980-989/1000")
        let second = try #require(asked(transfer.received(wrong, of: first.attempt, now: start)))
        transfer.connected(second.attempt, reused: false, now: start)
        #expect(
            transfer.received(head(length: 10, 206, range: "bytes 990-999/1000"), of: second.attempt, now: start) == []
        )
        guard case .forward(let sent?, 0) = transfer.received(bytes: 10, of: second.attempt, now: start).use else {
            Issue.record("the bytes of the range are forwarded")
            return
        }
        #expect(sent.isPartial && sent.range == 990..<1000)
    }

    @Test func aRangeOutsideOfTheContentIsNotSatisfiable() throws {
        var transfer = makeTransfer(range: .from(1000))
        let first = try #require(asked(transfer.found(provider(1), now: start)))
        transfer.connected(first.attempt, reused: false, now: start)
        let answer = PeerResponse(status: 416, contentRange: "bytes */1000")
        #expect(transfer.received(answer, of: first.attempt, now: start).last == .end(.rangeNotSatisfiable(size: 1000)))
    }

    @Test(arguments: [
        PeerResponse(status: 500, contentLength: 1),
        PeerResponse(status: 206, contentLength: 1000, contentRange: "bytes 0-999/1000"),
        PeerResponse(status: 200),
        PeerResponse(status: 200, contentLength: -1),
        PeerResponse(status: 200, contentLength: 1000, contentEncoding: "gzip"),
        PeerResponse(status: 200, contentLength: 1000, digest: "sha256:none"),
        PeerResponse(status: 304, contentLength: 1000),
    ])
    func implausibleHeadsAreRefused(_ head: PeerResponse) throws {
        var transfer = makeTransfer()
        let first = try #require(asked(transfer.found(provider(1), now: start)))
        _ = transfer.lookupEnded(now: start)
        transfer.connected(first.attempt, reused: false, now: start)
        #expect(transfer.received(head, of: first.attempt, now: start) == [.cancel(first.attempt), .end(.notFound)])
    }
}
