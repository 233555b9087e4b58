import OCI
import Testing
import Time

@testable import Mirroring

/// Peers that are trusted less, and content that is hashed on its way, without I/O.
struct TransferTrustTests {
    private let digest = Digest(algorithm: .sha256, bytes: [UInt8](repeating: 7, count: 32))
    private let start = MonotonicTime(nanoseconds: 1_000_000_000)

    private func makeTransfer(range: ByteRange? = nil, mustHash: Bool = false) -> Transfer {
        let request = TransferRequest(
            isHead: false,
            kind: .blob,
            digest: digest,
            range: range,
            mustHash: mustHash
        )
        var limits = TransferLimits()
        limits.checkedSize = 10
        limits.splicedSize = 1
        var transfer = Transfer(request, limits: limits, now: start)
        transfer.lookupStarted(now: start)
        return transfer
    }

    private func provider(_ name: String) -> Peer {
        Peer(id: name, addresses: [PeerAddress(ip: "192.0.2.1", port: 5000)])
    }

    private func asked(_ actions: [TransferAction]) -> PeerRequest? {
        for case .ask(let request) in actions { return request }
        return nil
    }

    private func head(isChecked: Bool = false) -> PeerResponse {
        PeerResponse(status: 200, contentLength: 100, isChecked: isChecked)
    }

    @Test func asksLessTrustedPeersLater() throws {
        var transfer = makeTransfer()
        var actions = transfer.found(provider("suspect"), standing: .suspect, now: start)
        #expect(actions.isEmpty)
        actions = transfer.found(provider("banned"), standing: .banned, now: start)
        #expect(actions.isEmpty)
        var request = try #require(
            asked(transfer.found(provider("distrusted"), standing: .distrusted, now: start))
        )
        #expect(request.peerID == "distrusted" && !request.wantsCheck)
        #expect(transfer.found(provider("trusted"), now: start).isEmpty)
        request = try #require(asked(transfer.failed(request.attempt, .headTimeout, now: start)))
        #expect(request.peerID == "trusted")
        actions = transfer.failed(request.attempt, .headTimeout, now: start)
        #expect(asked(actions) == nil)
        request = try #require(asked(transfer.lookupEnded(now: start)))
        #expect(request.peerID == "suspect" && request.wantsCheck)
    }

    @Test func suspectsAloneWaitForTheResolveTimeout() throws {
        var transfer = makeTransfer()
        _ = transfer.found(provider("suspect"), standing: .suspect, now: start)
        #expect(transfer.deadline == start + .milliseconds(20))
        let request = asked(transfer.timePassed(now: start + .milliseconds(20)))
        #expect(request?.peerID == "suspect")
    }

    @Test(arguments: [false, true])
    func aSuspectHasToSayThatItHasChecked(isChecked: Bool) throws {
        var transfer = makeTransfer()
        _ = transfer.found(provider("suspect"), standing: .suspect, now: start)
        let request = try #require(asked(transfer.lookupEnded(now: start)))
        transfer.connected(request.attempt, reused: false, now: start)
        var actions = transfer.received(head(isChecked: isChecked), of: request.attempt, now: start)
        guard !isChecked else {
            #expect(actions.isEmpty)
            return
        }
        // One that cannot verify is asked once more, and hashed.
        let second = try #require(asked(actions))
        #expect(second.peerID == "suspect" && second.wantsCheck)
        transfer.connected(second.attempt, reused: false, now: start)
        actions = transfer.received(head(), of: second.attempt, now: start)
        #expect(actions.isEmpty)
        _ = transfer.received(bytes: 40, of: second.attempt, now: start)
        #expect(transfer.delivery.isHashed)
    }

    @Test func suspectThatCannotVerifyComesAfterThoseThatCan() throws {
        var transfer = makeTransfer()
        for name in ["old", "new"] { _ = transfer.found(provider(name), standing: .suspect, now: start) }
        let first = try #require(asked(transfer.lookupEnded(now: start)))
        transfer.connected(first.attempt, reused: false, now: start)
        let second = try #require(asked(transfer.received(head(), of: first.attempt, now: start)))
        #expect(first.peerID == "old" && second.peerID == "new")
        transfer.connected(second.attempt, reused: false, now: start)
        #expect(transfer.received(head(isChecked: true), of: second.attempt, now: start).isEmpty)
        _ = transfer.received(bytes: 40, of: second.attempt, now: start)
        #expect(transfer.isVerifiedByPeer)
        // If that one fails, the other continues, and all is hashed.
        let third = try #require(asked(transfer.failed(second.attempt, .closed("reset"), now: start)))
        #expect(third.peerID == "old" && transfer.delivery.isHashed)
    }

    /// A repeated request proves nothing: a peer that cannot verify is hashed where that is possible, and serves parts.
    @Test(arguments: [nil, ByteRange.from(5)])
    func doubtedPeerServesWithoutVerifying(range: ByteRange?) throws {
        var transfer = makeTransfer(range: range, mustHash: true)
        #expect(transfer.found(provider("doubted"), standing: .doubted, now: start).isEmpty)
        let request = try #require(asked(transfer.lookupEnded(now: start)))
        #expect(request.wantsCheck)
        transfer.connected(request.attempt, reused: false, now: start)
        var answer = head()
        if range != nil {
            answer = PeerResponse(
                status: 206,
                contentLength: 95,
                contentType: "application/octet-stream",
                contentRange: "bytes 5-99/100"
            )
        }
        #expect(transfer.received(answer, of: request.attempt, now: start).isEmpty)
        _ = transfer.received(bytes: 40, of: request.attempt, now: start)
        #expect(transfer.delivery.isHashed == (range == nil) && !transfer.isVerifiedByPeer)
    }

    /// A part of content of which wrong bytes have come is taken only from a peer that has verified it.
    @Test(arguments: [PeerStanding.suspect, .distrusted])
    func partNeedsAVerifyingPeerWhereWrongBytesCame(standing: PeerStanding) throws {
        var transfer = makeTransfer(range: .from(5))
        _ = transfer.found(provider("peer"), standing: standing, now: start)
        let actions = transfer.lookupEnded(now: start)
        let attempt = asked(actions)?.attempt ?? 1
        transfer.connected(attempt, reused: false, now: start)
        let answer = PeerResponse(status: 206, contentLength: 95, contentRange: "bytes 5-99/100")
        #expect(transfer.received(answer, of: attempt, now: start) == [.cancel(attempt), .end(.notFound)])
    }

    @Test func aDistrustedPeerHasToCheckWhatCannotBeHashedHere() throws {
        var transfer = makeTransfer(range: .from(5))
        let request = asked(transfer.found(provider("distrusted"), standing: .distrusted, now: start))
        #expect(request?.wantsCheck == true)
    }

    /// Takes all of the content from one peer.
    private func take(_ transfer: inout Transfer, _ standing: PeerStanding) throws
        -> (attempt: Int, isHashed: Bool, actions: [TransferAction])
    {
        let request = try #require(asked(transfer.found(provider("peer"), standing: standing, now: start)))
        transfer.connected(request.attempt, reused: false, now: start)
        _ = transfer.received(head(), of: request.attempt, now: start)
        let decision = transfer.received(bytes: 100, of: request.attempt, now: start)
        let isHashed = transfer.delivery.isHashed
        guard case .forward(.some, 0) = decision.use else {
            Issue.record("large content goes on at once")
            return (request.attempt, isHashed, [])
        }
        #expect(transfer.delivery.isHashed == isHashed)
        return (request.attempt, isHashed, transfer.ended(request.attempt, now: start))
    }

    @Test(arguments: [
        (PeerStanding.trusted, false, false), (.trusted, true, true), (.distrusted, false, true),
        (.distrusted, true, true),
    ])
    func largeContentIsHashedForAReason(standing: PeerStanding, mustHash: Bool, isHashed: Bool) throws {
        var transfer = makeTransfer(mustHash: mustHash)
        let end = try take(&transfer, standing)
        #expect(end.isHashed == isHashed)
        guard isHashed else {
            #expect(end.actions == [.cancelLookup, .release(end.attempt), .end(.complete)])
            return
        }
        guard case .verify(end.attempt, _)? = end.actions.last else {
            Issue.record("the digest is not checked")
            return
        }
        let right = transfer.verified(end.attempt, matches: true, now: start)
        #expect(right == [.cancelLookup, .release(end.attempt), .sendHeld, .end(.complete)])
    }

    @Test func wrongContentIsCutShortAndItsPeerBarred() throws {
        var transfer = makeTransfer(mustHash: true)
        let end = try take(&transfer, .trusted)
        let digest = try #require(digest)
        let wrong = transfer.verified(end.attempt, matches: false, now: start)
        #expect(
            wrong == [.ban(peerID: "peer", digest), .cancelLookup, .cancel(end.attempt), .discardHeld, .end(.cutShort)]
        )
        #expect(transfer.failures.map(\.failure) == [.corrupt])
    }

    /// A peer whose first bytes are thrown away, and of whose others none is seen, is as much to blame as the one before.
    @Test func suspectsPeerWhoseBytesTheKernelMoved() throws {
        var transfer = makeTransfer(mustHash: true)
        let digest = try #require(digest)
        let first = try #require(asked(transfer.found(provider("one"), now: start)))
        _ = transfer.found(provider("other"), now: start)
        _ = transfer.lookupEnded(now: start)
        transfer.connected(first.attempt, reused: false, now: start)
        _ = transfer.received(head(), of: first.attempt, now: start)
        _ = transfer.received(bytes: 40, of: first.attempt, now: start)
        let second = try #require(asked(transfer.failed(first.attempt, .closed("reset"), now: start)))
        transfer.connected(second.attempt, reused: false, now: start)
        _ = transfer.received(head(), of: second.attempt, now: start)
        #expect(transfer.received(bytes: 40, of: second.attempt, now: start).use == .drop)
        #expect(transfer.movable(second.attempt) == 60)
        transfer.moveStarted(second.attempt)
        let end = transfer.moved(second.attempt, bytes: 50, end: .corrupt, canHash: true, now: start)
        #expect(end.prefix(2) == [.suspect(peerID: "one", digest), .suspect(peerID: "other", digest)])
        #expect(end.last == .end(.cutShort))
    }

    /// No peer is to blame when bytes that were sent cannot be hashed further.
    @Test func cutsShortWhenHashingBreaks() throws {
        var transfer = makeTransfer(mustHash: true)
        let request = try #require(asked(transfer.found(provider("one"), now: start)))
        _ = transfer.lookupEnded(now: start)
        transfer.connected(request.attempt, reused: false, now: start)
        _ = transfer.received(head(), of: request.attempt, now: start)
        _ = transfer.received(bytes: 40, of: request.attempt, now: start)
        transfer.moveStarted(request.attempt)
        let end = transfer.moved(request.attempt, bytes: 10, end: .stopped, canHash: false, now: start)
        #expect(end == [.cancel(request.attempt), .discardHeld, .end(.cutShort)])
        #expect(transfer.isFinished && transfer.failures.isEmpty)
    }

    /// A range may be all of it, as containerd 2 asks when it fetches parts beside each other.
    @Test func verifiesRangeThatCoversAll() throws {
        for (range, last) in [(ByteRange.from(0), 99), (.from(1), 99)] {
            var transfer = makeTransfer(range: range, mustHash: true)
            let request = try #require(asked(transfer.found(provider("peer"), now: start)))
            transfer.connected(request.attempt, reused: false, now: start)
            let first = range == .from(0) ? 0 : 1
            let head = PeerResponse(
                status: 206,
                contentLength: Int64(last + 1 - first),
                contentType: "application/octet-stream",
                contentRange: "bytes \(first)-\(last)/100"
            )
            #expect(transfer.received(head, of: request.attempt, now: start).isEmpty)
            _ = transfer.received(bytes: 50, of: request.attempt, now: start)
            #expect(transfer.delivery.isHashed == (first == 0) && transfer.delivery.content?.isPartial == true)
        }
    }

    @Test func verifiesBodyWhenConnectionFailsAtItsEnd() throws {
        var transfer = makeTransfer(mustHash: true)
        let request = try #require(asked(transfer.found(provider("peer"), now: start)))
        transfer.connected(request.attempt, reused: false, now: start)
        _ = transfer.received(head(), of: request.attempt, now: start)
        _ = transfer.received(bytes: 100, of: request.attempt, now: start)
        let actions = transfer.failed(request.attempt, .closed("by the peer"), now: start)
        guard case .verify(request.attempt, _)? = actions.last else {
            Issue.record("the digest is not checked")
            return
        }
        #expect(transfer.verified(request.attempt, matches: true, now: start).last == .end(.complete))
    }
}
