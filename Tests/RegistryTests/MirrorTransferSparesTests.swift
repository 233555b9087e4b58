import NIOCore
import OCI
import Routing
import TestSupport
import Testing

@testable import Registry

/// Who is asked in place of peers that cannot be reached, and for how long.
struct MirrorTransferSparesTests {
    private static let size: Int64 = 1000
    private static let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    /// What a peer does with the request.
    private enum Peer: CaseIterable {
        case refuses, isCutOff, closes, isFrozen, hasNot, fails, serves
    }

    private struct Outcome: Equatable {
        var asked: [Int] = []
        var end: MirrorTransfer.Action?
        var time = TimeAmount.zero
    }

    private static func provider(_ number: Int, addresses: Int = 1) throws -> Provider {
        let found = try (0..<addresses).map { try SocketAddress(ipAddress: "192.0.2.\(number)", port: 5000 + $0) }
        return Provider(peerID: "\(number)", addresses: found)
    }

    private static func head(_ asked: PeerResponseHead.Asked, status: Int = 200) -> PeerResponseHead {
        var head = PeerResponseHead(status: status, contentLength: status == 404 || status == 500 ? 0 : size)
        head.contentType = "application/octet-stream"
        return head
    }

    private static func makeTransfer(hedges: Int = 0) -> MirrorTransfer {
        let digest = Digest(algorithm: .sha256, bytes: [UInt8](repeating: 7, count: 32))
        var limits = MirrorTransfer.Limits()
        limits.checkedSize = 0
        limits.hedges = hedges
        var transfer = MirrorTransfer(
            MirrorTransfer.Request(isHead: false, kind: .blob, digest: digest),
            limits: limits,
            now: start
        )
        transfer.lookupStarted(now: start)
        return transfer
    }

    /// Lets peers, all of them known at the start, do as they do until there is an end.
    private static func run(_ peers: [Peer], addresses: Int = 1, hedges: Int = 0) throws -> Outcome {
        var transfer = makeTransfer(hedges: hedges)
        var now = start
        var outcome = Outcome()
        var actions: [MirrorTransfer.Action] = []
        for number in peers.indices {
            actions += transfer.found(try provider(number, addresses: addresses), now: now)
        }
        actions += transfer.lookupEnded(now: now)
        while outcome.end == nil {
            while !actions.isEmpty {
                switch actions.removeFirst() {
                case .ask(let request):
                    let number = try #require(Int(request.peerID))
                    outcome.asked.append(number)
                    let id = request.attempt
                    if peers[number] != .isCutOff, peers[number] != .refuses {
                        transfer.connected(id, reused: false, now: now)
                    }
                    switch peers[number] {
                    case .isCutOff, .isFrozen: break
                    case .refuses: actions += transfer.failed(id, .cannotConnect("refused"), now: now)
                    case .closes: actions += transfer.failed(id, .closed("before a head"), now: now)
                    case .hasNot: actions += transfer.received(head(request.asked, status: 404), of: id, now: now)
                    case .fails: actions += transfer.received(head(request.asked, status: 500), of: id, now: now)
                    case .serves:
                        actions += transfer.received(head(request.asked), of: id, now: now)
                        actions += transfer.received(bytes: Int(size), of: id, now: now).actions
                        actions += transfer.ended(id, now: now)
                    }
                case .cancel, .release, .cancelLookup: break
                case let end: outcome.end = end
                }
            }
            guard outcome.end == nil else { break }
            let deadline = try #require(transfer.deadline)
            // Otherwise time would stand still.
            try #require(deadline > now)
            now = deadline
            actions = transfer.timePassed(now: now)
        }
        outcome.time = now - start
        return outcome
    }

    /// What is to come of it, told without the machine.
    private static func expected(_ peers: [Peer]) -> Outcome {
        var outcome = Outcome(end: .notFound)
        for (number, peer) in peers.enumerated() {
            let isLate = outcome.time >= .seconds(5)
            guard !isLate || outcome.asked.count < 3 else { break }
            outcome.asked.append(number)
            switch peer {
            case .refuses, .closes, .hasNot, .fails: break
            case .isCutOff: outcome.time = outcome.time + .milliseconds(200)
            case .isFrozen: outcome.time = outcome.time + .seconds(2)
            case .serves:
                outcome.end = .finish
                return outcome
            }
        }
        return outcome
    }

    /// All sequences of up to six peers.
    @Test func everyPeerIsAskedThatTheTriesAllow() throws {
        var sequences: [[Peer]] = [[]]
        for _ in 0..<6 {
            for sequence in sequences {
                let outcome = try Self.run(sequence)
                let isExpected = outcome == Self.expected(sequence)
                #expect(isExpected, "\(sequence): \(outcome)")
            }
            sequences = sequences.flatMap { sequence in
                Peer.allCases.filter { sequence.last != .serves || $0 == .serves }.map { sequence + [$0] }
            }
        }
    }

    @Test(arguments: [0, 2], [1, 4])
    func whoeverIsSilentHoldsTheAnswerUpForALimitedTime(hedges: Int, addresses: Int) throws {
        // Three that are cut off at three addresses and frozen at the last could take as long without any spares.
        let bound = TimeAmount.milliseconds(3 * (4 * 200 + 2000))
        for peer in [Peer.isCutOff, .isFrozen] {
            let outcome = try Self.run([Peer](repeating: peer, count: 30), addresses: addresses, hedges: hedges)
            #expect(outcome.end == .notFound && outcome.time <= bound, "\(peer): \(outcome)")
            #expect(Set(outcome.asked).count <= 16)
            if peer == .isCutOff { #expect(Set(outcome.asked).count == 16) }
        }
        for seed in UInt64(0)..<500 {
            var random = SeededGenerator(seed: seed)
            let silent = [Peer.isCutOff, .isFrozen, .closes, .refuses]
            let peers = (0..<20).map { _ in silent.randomElement(using: &random) ?? .closes }
            let outcome = try Self.run(peers, addresses: addresses, hedges: hedges)
            #expect(outcome.end == .notFound && outcome.time <= bound, "seed \(seed), \(peers): \(outcome)")
        }
    }

    @Test func theLastOfSixteenServesWhereTheOthersCannotBeReachedOrLackIt() throws {
        for peer in [Peer.refuses, .closes, .isCutOff, .hasNot, .fails] {
            let outcome = try Self.run([Peer](repeating: peer, count: 15) + [.serves])
            #expect(outcome.end == .finish && outcome.asked == Array(0..<16))
            let beyond = try Self.run([Peer](repeating: peer, count: 16) + [.serves])
            #expect(beyond.end == .notFound && beyond.asked == Array(0..<16))
        }
        // Under way beside each other they cost half the time.
        let hedged = try Self.run([.isFrozen, .isFrozen, .isFrozen, .serves], hedges: 2)
        #expect(hedged.end == .finish && hedged.time <= .seconds(4))
    }

    @Test func aTransferThatWaitsForItsTurnLosesNoSpares() throws {
        var transfer = Self.makeTransfer()
        var actions = transfer.found(try Self.provider(0), now: Self.start)
        for number in 1..<5 { actions += transfer.found(try Self.provider(number), now: Self.start) }
        actions += transfer.lookupEnded(now: Self.start)
        let now = Self.start + .seconds(20)
        for number in 0..<5 {
            guard case .ask(let request)? = actions.last else {
                Issue.record("peer \(number) is not asked")
                return
            }
            #expect(request.peerID == "\(number)")
            if number == 0 {
                transfer.queued(request.attempt)
                let nothing = transfer.timePassed(now: now)
                #expect(nothing == [])
                transfer.admitted(request.attempt, now: now)
            }
            actions = transfer.failed(request.attempt, .cannotConnect("refused"), now: now)
        }
        #expect(actions.last == .notFound)
    }

    /// The client has got half of the body, and whoever sent it has gone.
    private func breakOff(
        after providers: [Int]
    ) throws -> (transfer: MirrorTransfer, actions: [MirrorTransfer.Action]) {
        var transfer = Self.makeTransfer()
        var actions: [MirrorTransfer.Action] = []
        for number in providers { actions += transfer.found(try Self.provider(number), now: Self.start) }
        actions += transfer.lookupEnded(now: Self.start)
        guard case .ask(let request)? = actions.first else {
            Issue.record("nobody is asked")
            return (transfer, actions)
        }
        transfer.connected(request.attempt, reused: false, now: Self.start)
        _ = transfer.received(Self.head(request.asked), of: request.attempt, now: Self.start)
        _ = transfer.received(bytes: 500, of: request.attempt, now: Self.start)
        let last = transfer.failed(request.attempt, .closed("in the middle"), now: Self.start)
        return (transfer, last)
    }

    @Test func inMidBodyEverybodyIsAskedWhoWasFound() throws {
        var (transfer, actions) = try breakOff(after: [0, 1, 2, 3, 4, 5])
        for number in 1...5 {
            guard case .ask(let request)? = actions.last else {
                Issue.record("peer \(number) is not asked")
                return
            }
            #expect(request.peerID == "\(number)")
            guard case .rest(_, from: 500) = request.asked else {
                Issue.record("it goes on from elsewhere")
                return
            }
            transfer.connected(request.attempt, reused: false, now: Self.start)
            actions = transfer.received(Self.head(request.asked, status: 404), of: request.attempt, now: Self.start)
        }
        #expect(actions.last == .lookAgain)
    }

    @Test func inMidBodyOthersAreLookedForOnce() throws {
        var (transfer, actions) = try breakOff(after: [0])
        #expect(actions.last == .lookAgain && transfer.wantsProviders)
        let begun = Self.start + .milliseconds(5)
        transfer.lookupStarted(now: begun)
        #expect(transfer.deadline == begun + .milliseconds(20))
        // Who has failed is not asked again.
        let same = transfer.found(try Self.provider(0), now: begun)
        #expect(same == [])
        actions = transfer.found(try Self.provider(1), now: begun)
        guard case .ask(let request)? = actions.last else {
            Issue.record("nobody is asked")
            return
        }
        #expect(request.peerID == "1")
        let ended = transfer.lookupEnded(now: begun)
        #expect(ended == [])
        let end = transfer.failed(request.attempt, .cannotConnect("refused"), now: begun)
        #expect(end == [.cancel(request.attempt), .cutShort])
    }

    @Test func nobodyIsLookedForLongerThanTheResolveTimeout() throws {
        var (transfer, actions) = try breakOff(after: [0])
        #expect(actions.last == .lookAgain)
        transfer.lookupStarted(now: Self.start)
        let deadline = try #require(transfer.deadline)
        #expect(deadline == Self.start + .milliseconds(20))
        let end = transfer.timePassed(now: deadline)
        #expect(end == [.cancelLookup, .cutShort])
    }

    @Test func aLookupThatWasCutIsMadeAnew() throws {
        for wasCut in [true, false] {
            var transfer = Self.makeTransfer()
            var actions: [MirrorTransfer.Action] = []
            for number in 0..<3 { actions += transfer.found(try Self.provider(number), now: Self.start) }
            #expect(!transfer.wantsProviders)
            actions += transfer.lookupEnded(wasCut: wasCut, now: Self.start)
            for _ in 0..<3 {
                guard case .ask(let request)? = actions.last else {
                    Issue.record("nobody is asked")
                    return
                }
                transfer.connected(request.attempt, reused: false, now: Self.start)
                actions = transfer.received(Self.head(request.asked, status: 404), of: request.attempt, now: Self.start)
            }
            #expect(actions.last == (wasCut ? .lookAgain : .notFound))
        }
    }
}
