import OCI
import TestSupport
import Testing
import Time

@testable import Mirroring

/// Which peers replace those that fail, and for how long.
struct TransferRetryTests {
    private static let size: Int64 = 1000
    private static let start = MonotonicTime(nanoseconds: 1_000_000_000)

    /// What a peer does with the request.
    private enum Behaviour: CaseIterable {
        case refuses, isCutOff, closes, isFrozen, hasNot, fails, serves
    }

    private struct Outcome: Equatable {
        var asked: [Int] = []
        var end: TransferAction?
        var time = Duration.zero
    }

    private static func provider(_ number: Int, addresses: Int = 1) -> Peer {
        let found = (0..<addresses).map { PeerAddress(ip: "192.0.2.\(number)", port: 5000 + $0) }
        return Peer(id: "\(number)", addresses: found)
    }

    private static func head(_ asked: RequestedPart, status: Int = 200) -> PeerResponse {
        var head = PeerResponse(status: status, contentLength: status == 404 || status == 500 ? 0 : size)
        head.contentType = "application/octet-stream"
        return head
    }

    private static func makeTransfer(hedges: Int = 0) -> Transfer {
        let digest = Digest(algorithm: .sha256, bytes: [UInt8](repeating: 7, count: 32))
        var limits = TransferLimits()
        limits.checkedSize = 0
        limits.hedges = hedges
        var transfer = Transfer(
            TransferRequest(isHead: false, kind: .blob, digest: digest),
            limits: limits,
            now: start
        )
        transfer.lookupStarted(now: start)
        return transfer
    }

    /// Lets peers, all of them known at the start, do as they do until there is an end.
    private static func run(_ peers: [Behaviour], addresses: Int = 1, hedges: Int = 0) throws -> Outcome {
        var transfer = makeTransfer(hedges: hedges)
        var now = start
        var outcome = Outcome()
        var actions: [TransferAction] = []
        for number in peers.indices {
            actions += transfer.found(provider(number, addresses: addresses), now: now)
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
                    case .hasNot: actions += transfer.received(head(request.part, status: 404), of: id, now: now)
                    case .fails: actions += transfer.received(head(request.part, status: 500), of: id, now: now)
                    case .serves:
                        actions += transfer.received(head(request.part), of: id, now: now)
                        actions += transfer.received(bytes: Int(size), of: id, now: now).actions
                        actions += transfer.ended(id, now: now)
                    }
                case .cancel, .release, .cancelLookup, .firstByte: break
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
    private static func expected(_ peers: [Behaviour]) -> Outcome {
        var outcome = Outcome(end: .end(.notFound))
        for (number, peer) in peers.enumerated() {
            let isLate = outcome.time >= .seconds(5)
            guard !isLate || outcome.asked.count < 3 else { break }
            outcome.asked.append(number)
            switch peer {
            case .refuses, .closes, .hasNot, .fails: break
            case .isCutOff: outcome.time = outcome.time + .milliseconds(200)
            case .isFrozen: outcome.time = outcome.time + .seconds(2)
            case .serves:
                outcome.end = .end(.complete)
                return outcome
            }
        }
        return outcome
    }

    /// All sequences of up to six peers.
    @Test func asksEveryPeerThatTheBudgetAllows() throws {
        var sequences: [[Behaviour]] = [[]]
        for _ in 0..<6 {
            for sequence in sequences {
                let outcome = try Self.run(sequence)
                let isExpected = outcome == Self.expected(sequence)
                #expect(isExpected, "\(sequence): \(outcome)")
            }
            sequences = sequences.flatMap { sequence in
                Behaviour.allCases.filter { sequence.last != .serves || $0 == .serves }.map { sequence + [$0] }
            }
        }
    }

    @Test(arguments: [0, 2], [1, 4])
    func silentPeersDelayTheAnswerForALimitedTime(hedges: Int, addresses: Int) throws {
        // Three that are cut off at three addresses and frozen at the last could take as long without any spares.
        let bound = Duration.milliseconds(3 * (4 * 200 + 2000))
        for peer in [Behaviour.isCutOff, .isFrozen] {
            let outcome = try Self.run([Behaviour](repeating: peer, count: 30), addresses: addresses, hedges: hedges)
            #expect(outcome.end == .end(.notFound) && outcome.time <= bound, "\(peer): \(outcome)")
            #expect(Set(outcome.asked).count <= 16)
            if peer == .isCutOff { #expect(Set(outcome.asked).count == 16) }
        }
        for seed in UInt64(0)..<500 {
            var random = SeededGenerator(seed: seed)
            let silent = [Behaviour.isCutOff, .isFrozen, .closes, .refuses]
            let peers = (0..<20).map { _ in silent.randomElement(using: &random) ?? .closes }
            let outcome = try Self.run(peers, addresses: addresses, hedges: hedges)
            #expect(outcome.end == .end(.notFound) && outcome.time <= bound, "seed \(seed), \(peers): \(outcome)")
        }
    }

    @Test func sixteenthPeerServesWhenFifteenFail() throws {
        for peer in [Behaviour.refuses, .closes, .isCutOff, .hasNot, .fails] {
            let outcome = try Self.run([Behaviour](repeating: peer, count: 15) + [.serves])
            #expect(outcome.end == .end(.complete) && outcome.asked == Array(0..<16))
            let beyond = try Self.run([Behaviour](repeating: peer, count: 16) + [.serves])
            #expect(beyond.end == .end(.notFound) && beyond.asked == Array(0..<16))
        }
        // Under way beside each other they cost half the time.
        let hedged = try Self.run([.isFrozen, .isFrozen, .isFrozen, .serves], hedges: 2)
        #expect(hedged.end == .end(.complete) && hedged.time <= .seconds(4))
    }

    @Test func waitForPermitCostsNoSpareTime() throws {
        var transfer = Self.makeTransfer()
        var actions = transfer.found(Self.provider(0), now: Self.start)
        for number in 1..<5 { actions += transfer.found(Self.provider(number), now: Self.start) }
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
                transfer.permitted(request.attempt, now: now)
            }
            actions = transfer.failed(request.attempt, .cannotConnect("refused"), now: now)
        }
        #expect(actions.last == .end(.notFound))
    }

    /// The client has half of the body, and its peer has failed.
    private func breakOff(
        after providers: [Int]
    ) throws -> (transfer: Transfer, actions: [TransferAction]) {
        var transfer = Self.makeTransfer()
        var actions: [TransferAction] = []
        for number in providers { actions += transfer.found(Self.provider(number), now: Self.start) }
        actions += transfer.lookupEnded(now: Self.start)
        guard case .ask(let request)? = actions.first else {
            Issue.record("no peer is asked")
            return (transfer, actions)
        }
        transfer.connected(request.attempt, reused: false, now: Self.start)
        _ = transfer.received(Self.head(request.part), of: request.attempt, now: Self.start)
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
            guard case .rest(_, from: 500) = request.part else {
                Issue.record("it goes on from elsewhere")
                return
            }
            transfer.connected(request.attempt, reused: false, now: Self.start)
            actions = transfer.received(Self.head(request.part, status: 404), of: request.attempt, now: Self.start)
        }
        #expect(actions.last == .startLookup)
    }

    @Test func inMidBodyOthersAreLookedForOnce() throws {
        var (transfer, actions) = try breakOff(after: [0])
        #expect(actions.last == .startLookup && transfer.needsProviders)
        let begun = Self.start + .milliseconds(5)
        transfer.lookupStarted(now: begun)
        #expect(transfer.deadline == begun + .milliseconds(20))
        // Who has failed is not asked again.
        let same = transfer.found(Self.provider(0), now: begun)
        #expect(same == [])
        actions = transfer.found(Self.provider(1), now: begun)
        guard case .ask(let request)? = actions.last else {
            Issue.record("no peer is asked")
            return
        }
        #expect(request.peerID == "1")
        let ended = transfer.lookupEnded(now: begun)
        #expect(ended == [])
        let end = transfer.failed(request.attempt, .cannotConnect("refused"), now: begun)
        #expect(end == [.cancel(request.attempt), .end(.cutShort)])
    }

    @Test func secondLookupEndsWithTheResolveTimeout() throws {
        var (transfer, actions) = try breakOff(after: [0])
        #expect(actions.last == .startLookup)
        transfer.lookupStarted(now: Self.start)
        let deadline = try #require(transfer.deadline)
        #expect(deadline == Self.start + .milliseconds(20))
        let end = transfer.timePassed(now: deadline)
        #expect(end == [.cancelLookup, .end(.cutShort)])
    }

    @Test func aLookupThatWasCutIsMadeAnew() throws {
        for wasCut in [true, false] {
            var transfer = Self.makeTransfer()
            var actions: [TransferAction] = []
            for number in 0..<3 { actions += transfer.found(Self.provider(number), now: Self.start) }
            #expect(!transfer.needsProviders)
            actions += transfer.lookupEnded(wasCut: wasCut, now: Self.start)
            for _ in 0..<3 {
                guard case .ask(let request)? = actions.last else {
                    Issue.record("no peer is asked")
                    return
                }
                transfer.connected(request.attempt, reused: false, now: Self.start)
                actions = transfer.received(Self.head(request.part, status: 404), of: request.attempt, now: Self.start)
            }
            #expect(actions.last == (wasCut ? .startLookup : .end(.notFound)))
        }
    }
}
