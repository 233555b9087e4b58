import NIOCore
import OCI
import Routing
import Testing

@testable import Registry

/// Peers that are trusted less, and content that is hashed on its way, without I/O.
struct MirrorTransferTrustTests {
    private let digest = Digest(algorithm: .sha256, bytes: [UInt8](repeating: 7, count: 32))
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    private func makeTransfer(range: ByteRange? = nil, mustHash: Bool = false) -> MirrorTransfer {
        let request = MirrorTransfer.Request(
            isHead: false,
            kind: .blob,
            digest: digest,
            range: range,
            mustHash: mustHash
        )
        var limits = MirrorTransfer.Limits()
        limits.checkedSize = 10
        limits.splicedSize = 1
        var transfer = MirrorTransfer(request, limits: limits, now: start)
        transfer.lookupStarted(now: start)
        return transfer
    }

    private func provider(_ name: String) throws -> Provider {
        Provider(peerID: name, addresses: [try SocketAddress(ipAddress: "192.0.2.1", port: 5000)])
    }

    private func asked(_ actions: [MirrorTransfer.Action]) -> MirrorTransfer.PeerRequest? {
        for case .ask(let request) in actions { return request }
        return nil
    }

    private func head(isChecked: Bool = false) -> PeerResponseHead {
        PeerResponseHead(status: 200, contentLength: 100, isChecked: isChecked)
    }

    @Test func whoIsTrustedLessIsAskedLater() throws {
        var transfer = makeTransfer()
        var actions = transfer.found(try provider("suspect"), standing: .suspect, now: start)
        #expect(actions.isEmpty)
        actions = transfer.found(try provider("barred"), standing: .barred, now: start)
        #expect(actions.isEmpty)
        var request = try #require(
            asked(transfer.found(try provider("distrusted"), standing: .distrusted, now: start))
        )
        #expect(request.peerID == "distrusted" && !request.mustBeChecked)
        #expect(transfer.found(try provider("trusted"), now: start).isEmpty)
        request = try #require(asked(transfer.failed(request.attempt, .headTimeout, now: start)))
        #expect(request.peerID == "trusted")
        actions = transfer.failed(request.attempt, .headTimeout, now: start)
        #expect(asked(actions) == nil)
        request = try #require(asked(transfer.lookupEnded(now: start)))
        #expect(request.peerID == "suspect" && request.mustBeChecked)
    }

    @Test func suspectsAloneWaitForTheResolveTimeout() throws {
        var transfer = makeTransfer()
        _ = transfer.found(try provider("suspect"), standing: .suspect, now: start)
        #expect(transfer.deadline == start + .milliseconds(20))
        let request = asked(transfer.timePassed(now: start + .milliseconds(20)))
        #expect(request?.peerID == "suspect")
    }

    @Test(arguments: [false, true])
    func aSuspectHasToSayThatItHasChecked(isChecked: Bool) throws {
        var transfer = makeTransfer()
        _ = transfer.found(try provider("suspect"), standing: .suspect, now: start)
        let request = try #require(asked(transfer.lookupEnded(now: start)))
        transfer.connected(request.attempt, reused: false, now: start)
        let actions = transfer.received(head(isChecked: isChecked), of: request.attempt, now: start)
        #expect(actions == (isChecked ? [] : [.cancel(request.attempt), .notFound]))
    }

    @Test func aDistrustedPeerHasToCheckWhatCannotBeHashedHere() throws {
        var transfer = makeTransfer(range: .from(5))
        let request = asked(transfer.found(try provider("distrusted"), standing: .distrusted, now: start))
        #expect(request?.mustBeChecked == true)
    }

    /// Takes all of the content from one peer.
    private func take(_ transfer: inout MirrorTransfer, _ standing: PeerTrust.Standing) throws
        -> (attempt: Int, isHashed: Bool, actions: [MirrorTransfer.Action])
    {
        let request = try #require(asked(transfer.found(try provider("peer"), standing: standing, now: start)))
        transfer.connected(request.attempt, reused: false, now: start)
        _ = transfer.received(head(), of: request.attempt, now: start)
        let isHashed = transfer.isHashed(request.attempt)
        let decision = transfer.received(bytes: 100, of: request.attempt, now: start)
        guard case .forward(.some, 0) = decision.use else {
            Issue.record("large content goes on at once")
            return (request.attempt, isHashed, [])
        }
        #expect(transfer.isHashed == isHashed)
        return (request.attempt, isHashed, transfer.ended(request.attempt, now: start))
    }

    @Test(arguments: [
        (PeerTrust.Standing.trusted, false, false), (.trusted, true, true), (.distrusted, false, true),
        (.distrusted, true, true),
    ])
    func largeContentIsHashedForAReason(standing: PeerTrust.Standing, mustHash: Bool, isHashed: Bool) throws {
        var transfer = makeTransfer(mustHash: mustHash)
        let end = try take(&transfer, standing)
        #expect(end.isHashed == isHashed)
        guard isHashed else {
            #expect(end.actions == [.cancelLookup, .release(end.attempt), .finish])
            return
        }
        guard case .check(end.attempt, _)? = end.actions.last else {
            Issue.record("the digest is not checked")
            return
        }
        let right = transfer.checked(end.attempt, matches: true, now: start)
        #expect(right == [.cancelLookup, .release(end.attempt), .sendHeld, .finish])
    }

    @Test func wrongContentIsCutShortAndItsPeerBarred() throws {
        var transfer = makeTransfer(mustHash: true)
        let end = try take(&transfer, .trusted)
        let digest = try #require(digest)
        let wrong = transfer.checked(end.attempt, matches: false, now: start)
        #expect(
            wrong == [.bar(peerID: "peer", digest), .cancelLookup, .cancel(end.attempt), .discardHeld, .cutShort]
        )
        #expect(transfer.failures.map(\.failure) == [.corrupt])
    }

    /// A peer whose first bytes are thrown away, and of whose others none is seen, is as much to blame as the one before.
    @Test func whoeverSentBytesThatWereNotSeenIsToBlameToo() throws {
        var transfer = makeTransfer(mustHash: true)
        let digest = try #require(digest)
        let first = try #require(asked(transfer.found(try provider("one"), now: start)))
        _ = transfer.found(try provider("other"), now: start)
        _ = transfer.lookupEnded(now: start)
        transfer.connected(first.attempt, reused: false, now: start)
        _ = transfer.received(head(), of: first.attempt, now: start)
        _ = transfer.received(bytes: 40, of: first.attempt, now: start)
        let second = try #require(asked(transfer.failed(first.attempt, .closed("reset"), now: start)))
        transfer.connected(second.attempt, reused: false, now: start)
        _ = transfer.received(head(), of: second.attempt, now: start)
        #expect(transfer.received(bytes: 40, of: second.attempt, now: start) == .drop)
        #expect(transfer.spliceable(second.attempt) == 60)
        transfer.spliceBegan(second.attempt)
        transfer.spliced(bytes: 50, of: second.attempt)
        let end = transfer.checked(second.attempt, matches: false, now: start)
        #expect(end.prefix(2) == [.suspect(peerID: "one", digest), .suspect(peerID: "other", digest)])
        #expect(end.last == .cutShort)
    }

    /// Nobody is to blame where what went out can be hashed no further.
    @Test func whatCannotBeCheckedIsCutShort() throws {
        var transfer = makeTransfer(mustHash: true)
        let request = try #require(asked(transfer.found(try provider("one"), now: start)))
        _ = transfer.lookupEnded(now: start)
        transfer.connected(request.attempt, reused: false, now: start)
        _ = transfer.received(head(), of: request.attempt, now: start)
        _ = transfer.received(bytes: 40, of: request.attempt, now: start)
        transfer.spliceBegan(request.attempt)
        transfer.spliced(bytes: 10, of: request.attempt)
        #expect(transfer.cannotCheck() == [.cancel(request.attempt), .discardHeld, .cutShort])
        #expect(transfer.isFinished && transfer.failures.isEmpty && transfer.cannotCheck().isEmpty)
    }

    /// A range may be all of it, as containerd 2 asks when it fetches parts beside each other.
    @Test func aRangeOfAllIsCheckedAsTheWholeIs() throws {
        for (range, last) in [(ByteRange.from(0), 99), (.from(1), 99)] {
            var transfer = makeTransfer(range: range, mustHash: true)
            let request = try #require(asked(transfer.found(try provider("peer"), now: start)))
            transfer.connected(request.attempt, reused: false, now: start)
            let first = range == .from(0) ? 0 : 1
            let head = PeerResponseHead(
                status: 206,
                contentLength: Int64(last + 1 - first),
                contentType: "application/octet-stream",
                contentRange: "bytes \(first)-\(last)/100"
            )
            #expect(transfer.received(head, of: request.attempt, now: start).isEmpty)
            _ = transfer.received(bytes: 50, of: request.attempt, now: start)
            #expect(transfer.isHashed == (first == 0) && transfer.content?.isPartial == true)
        }
    }

    @Test func aConnectionThatFailsAtTheEndDoesNotMatter() throws {
        var transfer = makeTransfer(mustHash: true)
        let request = try #require(asked(transfer.found(try provider("peer"), now: start)))
        transfer.connected(request.attempt, reused: false, now: start)
        _ = transfer.received(head(), of: request.attempt, now: start)
        _ = transfer.received(bytes: 100, of: request.attempt, now: start)
        let actions = transfer.failed(request.attempt, .closed("by the peer"), now: start)
        guard case .check(request.attempt, _)? = actions.last else {
            Issue.record("the digest is not checked")
            return
        }
        #expect(transfer.checked(request.attempt, matches: true, now: start).last == .finish)
    }
}
