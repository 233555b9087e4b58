import Mirroring
import OCI
import TestSupport
import Testing
import Time

/// A lookup without a place says nothing of the content: the client is told to come again, not that there is none.
struct TransferOverloadTests {
    private let start = MonotonicTime.zero

    private func makeTransfer(range: ByteRange? = nil) -> Transfer {
        let digest = Digest(algorithm: .sha256, bytes: [UInt8](repeating: 7, count: 32))
        let request = TransferRequest(isHead: false, kind: .blob, digest: digest, range: range)
        return Transfer(request, limits: TransferLimits(), now: start)
    }

    private func peer(_ number: Int) -> Peer {
        Peer(id: "peer\(number)", addresses: [PeerAddress(ip: "192.0.2.\(number)", port: 5000)])
    }

    private func found(_ number: Int) -> [(peer: Peer, standing: PeerStanding)] { [(peer(number), .trusted)] }

    /// Fails each request that is sent, and those that follow from it.
    private func failAll(_ transfer: inout Transfer, _ actions: [TransferAction]) -> [TransferAction] {
        var actions = actions
        while case .ask(let request)? = actions.last(where: { if case .ask = $0 { true } else { false } }) {
            actions = transfer.failed(request.attempt, .cannotConnect("refused"), now: start)
        }
        return actions
    }

    @Test func lookupThatIsTurnedAwayIsOverloaded() {
        var transfer = makeTransfer()
        #expect(transfer.start(now: start) == [.startLookup])
        #expect(transfer.lookupEnded(now: start) == [.end(.overloaded)])
    }

    @Test func lookupThatIsQueuedTooLongIsOverloaded() {
        var transfer = makeTransfer()
        _ = transfer.start(now: start)
        #expect(transfer.timePassed(now: start + .milliseconds(999)) == [])
        #expect(transfer.timePassed(now: start + .seconds(1)) == [.cancelLookup, .end(.overloaded)])
    }

    /// A provider that was known before the lookup had its place.
    @Test func failedProviderOfQueuedLookupIsOverloaded() {
        var transfer = makeTransfer()
        _ = transfer.start(now: start)
        let actions = transfer.found(found(1), mayCut: true, now: start)
        #expect(failAll(&transfer, actions).last != .end(.overloaded))
        #expect(transfer.lookupEnded(now: start) == [.end(.overloaded)])
    }

    @Test func lookupAfterFailedRecentProviderIsOverloaded() {
        var transfer = makeTransfer(range: .closed(first: 0, last: 9))
        let actions = transfer.start(asking: (peer(1), .trusted), now: start)
        #expect(failAll(&transfer, actions).last == .startLookup)
        #expect(transfer.lookupEnded(now: start) == [.end(.overloaded)])
    }

    /// The first lookup was cut once it had found enough. The second one could have found others.
    @Test(arguments: [true, false])
    func secondLookupWithoutPlaceIsOverloaded(hasPlace: Bool) {
        var transfer = makeTransfer()
        _ = transfer.start(now: start)
        transfer.lookupStarted(now: start)
        var actions: [TransferAction] = []
        for number in 1...3 { actions += transfer.found(found(number), mayCut: true, now: start) }
        #expect(actions.contains(.cutLookup))
        actions += transfer.lookupEnded(now: start)
        #expect(failAll(&transfer, actions).last == .startLookup)
        if hasPlace { transfer.lookupStarted(now: start) }
        #expect(transfer.lookupEnded(now: start).last == .end(hasPlace ? .notFound : .overloaded))
    }
}
