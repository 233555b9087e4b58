import OCI
import TestSupport
import Testing
import Time

@testable import Mirroring

/// Whatever peers do at any time, the client gets all bytes in order, or a prefix and a clean end, or 404 when no byte
/// was ever sent; and there is an end.
struct TransferPropertyTests {
    @Test(arguments: 0..<64)
    func clientGetsNothingWrongFromRandomPeers(batch: Int) {
        for number in 0..<100 {
            let seed = UInt64(batch * 1000 + number)
            var world = World(seed: seed)
            let verdict = world.run()
            #expect(verdict == nil, "seed \(seed): \(verdict ?? "")")
        }
    }
}

/// Peers that behave at random, and a client that notes down what it gets.
private struct World {
    private var random: SeededGenerator
    private var now = MonotonicTime(nanoseconds: 1_000_000_000)
    private let size: Int64
    private var transfer: Transfer
    private var providers: [Peer] = []
    private var lookupIsRunning = true
    private var hasStarted = false

    private struct Open {
        var request: PeerRequest
        var isConnected = false
        var hasHead = false
        /// Which bytes it sends next, and where they end.
        var next: Int64 = 0
        var end: Int64 = 0
        /// How many bytes are being moved without being seen.
        var spliced: Int64?
        /// Whether the kernel is to stop when all that came has gone.
        var isLeft = false
    }

    /// The attempts that wait for their turn.
    private var queued: Set<AttemptID> = []
    /// The attempts under way, two at most.
    private var open: [Open] = []
    /// Peers that answer others while they are silent here.
    private var slowPeers: Set<String> = []
    /// Peers whose copies are wrong.
    private var corruptPeers: Set<String> = []
    private var standings: [String: PeerStanding] = [:]
    private let mustHash: Bool
    private let checkedSize: Int64
    private let hasRoom: Bool
    /// Bytes that are held back, all or the last ones, and whether some of all that came are wrong.
    private var isHolding = false
    /// Whether the last bytes of all that counts as received are held back by the driver.
    private var isTrailing = false
    private var held: Int64 = 0
    private var hasTakenWrongBytes = false

    private var promised: PromisedContent?
    private var received: Int64 = 0
    private var ending: TransferAction?
    private var asks = 0
    /// Peers whose last answer was that they are busy.
    private var busyPeers: Set<String> = []
    private var lastAddresses: [String: PeerAddress] = [:]
    /// The peers that were found, and those that were asked; suspects are not among the former.
    private var found: [String] = []
    private var asked: Set<String> = []
    /// When the first peer was asked since the last byte of a body.
    private var roundBegan: MonotonicTime?
    private var hasLookedAgain = false
    private var lookupWasCut = false

    init(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        size = Int64.random(in: 0...5000, using: &random)
        var range: ByteRange?
        switch Int.random(in: 0..<4, using: &random) {
        case 0 where size > 0: range = .from(Int64.random(in: 0..<size, using: &random))
        case 1 where size > 0: range = .suffix(Int64.random(in: 1...size, using: &random))
        default: break
        }
        let digest = Digest(algorithm: .sha256, bytes: [UInt8](repeating: 1, count: 32))
        mustHash = Bool.random(using: &random)
        let request = TransferRequest(
            isHead: false,
            kind: .blob,
            digest: digest,
            range: range,
            mustHash: mustHash
        )
        var limits = TransferLimits()
        checkedSize = Bool.random(using: &random) ? 0 : 2500
        hasRoom = Int.random(in: 0..<4, using: &random) > 0
        limits.checkedSize = checkedSize
        limits.splicedSize = Int64.random(in: 0...5000, using: &random)
        limits.hedgeDelay = .milliseconds(Int64.random(in: 1...60, using: &random))
        transfer = Transfer(request, limits: limits, now: now)
        self.random = random
    }

    /// - Returns: what went wrong.
    mutating func run() -> String? {
        addProviders(0..<Int.random(in: 0...(Bool.random(using: &random) ? 4 : 24), using: &random))
        for _ in 0..<6000 {
            if ending != nil { return check() }
            now = now + .milliseconds(Int64.random(in: 0...30, using: &random))
            if let problem = step() { return problem }
        }
        return "there is no end"
    }

    private mutating func addProviders(_ numbers: Range<Int>) {
        for number in numbers {
            let addresses = (0..<Int.random(in: 1...2, using: &random)).compactMap {
                PeerAddress(ip: "192.0.2.\(number)", port: 5000 + $0)
            }
            providers.append(Peer(id: "\(number)", addresses: addresses))
            lastAddresses["\(number)"] = addresses.last
            if Int.random(in: 0..<4, using: &random) == 0 { corruptPeers.insert("\(number)") }
            if Int.random(in: 0..<4, using: &random) == 0 { slowPeers.insert("\(number)") }
            let standing = PeerStanding(rawValue: Int.random(in: -2...4, using: &random))
            standings["\(number)"] = standing ?? .trusted
        }
    }

    private mutating func step() -> String? {
        switch Int.random(in: 0..<10, using: &random) {
        case 0, 1:
            guard lookupIsRunning else { break }
            if providers.isEmpty {
                lookupIsRunning = false
                lookupWasCut = Bool.random(using: &random)
                return perform(transfer.lookupEnded(wasCut: lookupWasCut, now: now))
            }
            let provider = providers.removeFirst()
            if (standings[provider.id] ?? .trusted) < .doubted { found.append(provider.id) }
            let standing = standings[provider.id] ?? .trusted
            return perform(transfer.found(provider, standing: standing, now: now))
        case 9 where Bool.random(using: &random):
            hasStarted = true
            transfer.lookupStarted(now: now)
        case 2:
            // The kernel's side watches the progress of bytes that it moves.
            let isSpliced = open.contains { $0.spliced != nil }
            if transfer.deadline == nil, !isSpliced { return "nothing bounds the wait" }
            now = max(now, transfer.deadline ?? now)
            if let attempt = transfer.sampledAttempt(now: now), let problem = sample(attempt) { return problem }
            if ending != nil { return nil }
            return perform(transfer.timePassed(now: now, isSlow: slowPeers.contains))
        case 3:
            if let index = open.indices.randomElement(using: &random), Int.random(in: 0..<3, using: &random) == 0 {
                let failed = open.remove(at: index)
                let attempt = failed.request.attempt
                let saysNothing = queued.remove(attempt) == nil && !failed.hasHead
                let reason = saysNothing ? "before a head" : "in the middle"
                return perform(transfer.failed(attempt, .closed(reason), now: now))
            }
        default: return peerStep()
        }
        return perform(transfer.timePassed(now: now, isSlow: slowPeers.contains))
    }

    /// A look at how fast the body comes.
    private mutating func sample(_ attempt: AttemptID) -> String? {
        guard let place = open.firstIndex(where: { $0.request.attempt == attempt }) else {
            return "a sample of an attempt that is over"
        }
        let moved = open[place].spliced.map {
            Int64.random(in: 0...max(0, min($0, open[place].end - open[place].next)), using: &random)
        }
        let wasFull = Int.random(in: 0..<4, using: &random) == 0
        let actions = transfer.sampled(
            attempt,
            movedBytes: moved ?? 0,
            clientWasFull: wasFull,
            expected: Bool.random(using: &random) ? 1e9 : 1,
            now: now
        )
        if actions.contains(.leave(attempt)) {
            guard open[place].spliced != nil else { return "the kernel is to leave though it moves nothing" }
            open[place].isLeft = true
            return actions.count == 1 ? nil : "more than a leave"
        }
        return perform(actions)
    }

    private mutating func peerStep() -> String? {
        guard let index = open.indices.randomElement(using: &random) else { return nil }
        let request = open[index].request
        let attempt = request.attempt
        if queued.remove(attempt) != nil {
            transfer.permitted(attempt, now: now)
            return nil
        }
        guard open[index].isConnected else {
            if Bool.random(using: &random) {
                open[index].isConnected = true
                transfer.connected(attempt, reused: request.mayReuse && Bool.random(using: &random), now: now)
                return nil
            }
            open.remove(at: index)
            return perform(transfer.failed(attempt, .cannotConnect("refused"), now: now))
        }
        guard open[index].hasHead else {
            return perform(transfer.received(makeHead(index), of: attempt, now: now))
        }
        if let count = open[index].spliced { return endSplice(index, count) }
        if let count = transfer.movable(attempt), Bool.random(using: &random) { return beginSplice(index, count) }
        let next = open[index].next
        guard next < open[index].end else { return perform(transfer.ended(attempt, now: now)) }
        var count = Int.random(in: 1...Int(open[index].end - next), using: &random)
        // All that is thrown away, and no more.
        if let promised, Bool.random(using: &random) {
            let skip = promised.range.lowerBound + received - next
            if skip > 0, next + skip <= open[index].end { count = Int(skip) }
        }
        open[index].next += Int64(count)
        roundBegan = nil
        let decision = transfer.received(bytes: count, of: attempt, now: now)
        if let problem = perform(decision.actions) { return problem }
        let isWrong = corruptPeers.contains(request.peerID)
        switch decision.use {
        case .drop: return nil
        case .forward(let head, let dropped):
            if let problem = take(head: head) { return problem }
            if transfer.delivery.isHashed { isTrailing = true }
            if !isTrailing, mustHash, let promised, promised.range == 0..<promised.size {
                return "bytes pass by without a hash"
            }
            return take(count - dropped, at: next + Int64(dropped), isWrong: isWrong)
        case .hold(let content, let dropped):
            if content.size > checkedSize { return "large content is held back" }
            if !isHolding {
                isHolding = hasRoom
                isTrailing = !hasRoom
                if !hasRoom, let problem = take(head: transfer.cannotHold(content)) { return problem }
            }
            guard isHolding else { return take(count - dropped, at: next + Int64(dropped), isWrong: isWrong) }
            if promised != nil { return "bytes are held back after the head" }
            if next + Int64(dropped) != content.range.lowerBound + held { return "held bytes out of order" }
            held += Int64(count - dropped)
            if isWrong { hasTakenWrongBytes = true }
            return nil
        }
    }

    private mutating func beginSplice(_ index: Int, _ count: Int64) -> String? {
        guard let promised else { return "bytes are moved before the head" }
        if isHolding { return "bytes that are held back as a whole are not seen" }
        let rest = promised.range.upperBound - promised.range.lowerBound - received
        if count != rest { return "\(count) bytes of \(rest) are moved" }
        transfer.moveStarted(open[index].request.attempt)
        open[index].spliced = count
        return nil
    }

    /// All bytes were moved, or some of them before the peer failed. Meanwhile others may do as they like. Where they are
    /// hashed, wrong ones are found before the last has gone.
    private mutating func endSplice(_ index: Int, _ count: Int64) -> String? {
        let attempt = open[index].request.attempt
        let sent = min(count, open[index].end - open[index].next)
        var moved = Bool.random(using: &random) ? sent : Int64.random(in: 0...max(0, sent), using: &random)
        let isWrong = corruptPeers.contains(open[index].request.peerID)
        let isCorrupt = isTrailing && moved == count && (isWrong || hasTakenWrongBytes)
        if isCorrupt { moved = Int64.random(in: 0..<count, using: &random) }
        if moved > 0, let problem = take(Int(moved), at: open[index].next, isWrong: isWrong) { return problem }
        let stopped: MoveEnd = open[index].isLeft ? .stopped : .sourceFailed("in the middle")
        let end: MoveEnd = moved == count ? .complete : isCorrupt ? .corrupt : stopped
        if end != .complete { open.remove(at: index) }
        return perform(transfer.moved(attempt, bytes: moved, end: end, canHash: true, now: now))
    }

    private mutating func take(head: PromisedContent?) -> String? {
        guard let head else { return nil }
        if promised != nil { return "two heads" }
        promised = head
        return nil
    }

    private mutating func take(_ count: Int, at place: Int64, isWrong: Bool) -> String? {
        guard let promised else { return "bytes before the head" }
        if place != promised.range.lowerBound + received { return "byte \(place) came after \(received)" }
        received += Int64(count)
        if isWrong { hasTakenWrongBytes = true }
        return received > promised.range.upperBound - promised.range.lowerBound ? "too many bytes" : nil
    }

    /// An honest head most of the time, else a wrong one.
    private mutating func makeHead(_ index: Int) -> PeerResponse {
        let request = open[index].request
        var part: Range<Int64> = 0..<size
        var status = 206
        switch request.part {
        case .whole: status = 200
        case .range(let range): part = range.resolved(size: size) ?? 0..<0
        case .rest(let content, let offset):
            if Bool.random(using: &random) { status = 200 } else { part = offset..<content.range.upperBound }
        }
        var head = PeerResponse(
            status: status,
            contentLength: part.upperBound - part.lowerBound,
            contentType: "application/octet-stream",
            contentRange: status == 206 ? ByteRange.contentRange(part, size: size) : nil
        )
        switch Int.random(in: 0..<12, using: &random) {
        case 0: head.status = 404
        case 1: head.status = 500
        case 2: head.contentLength = Int64.random(in: 0...6000, using: &random)
        case 3: head.contentRange = "bytes 0-1/7"
        case 4: head.digest = "sha256:0"
        case 5: head.contentLength = nil
        case 6 where !(request.wantsCheck && corruptPeers.contains(request.peerID)):
            head.status = 503
            head.mayRetry = true
            // It is asked again and again, so this is not to be counted.
            asks -= 1
            busyPeers.insert(request.peerID)
        default: break
        }
        if request.wantsCheck {
            // A peer that finds its copy wrong has nothing to give; one that knows of no checks says nothing.
            head.isChecked = Int.random(in: 0..<4, using: &random) > 0
            if corruptPeers.contains(request.peerID) {
                head.isChecked = false
                head.status = 404
            }
        }
        open[index].hasHead = true
        open[index].next = part.lowerBound
        open[index].end = part.lowerBound + (head.contentLength ?? 0)
        return head
    }

    private mutating func perform(_ actions: [TransferAction]) -> String? {
        for action in actions {
            if ending != nil { return "\(action) after the end" }
            switch action {
            case .ask(let request):
                asks += 1
                if open.count >= 4 { return "five attempts at a time" }
                switch standings[request.peerID] {
                case .banned: return "a banned peer is asked"
                case .suspect where !request.wantsCheck, .doubted where !request.wantsCheck:
                    return "a suspect need not check"
                case .suspect where lookupIsRunning && standings.values.count { $0 < .doubted } < 3,
                    .doubted where lookupIsRunning && standings.values.count { $0 < .doubted } < 3:
                    return "a suspect is asked before the lookup has ended"
                case .distrusted where !request.wantsCheck && request.part != .whole && !transfer.delivery.isHashed:
                    return "a distrusted peer goes on without a check"
                case .trusted where request.wantsCheck: return "a trusted peer has to check"
                default: break
                }
                let answered = answered
                if isLate, transfer.delivery.content == nil, answered.count >= 3,
                    standings[request.peerID]?.isSuspect != true,
                    !answered.contains(request.peerID),
                    !slowPeersAskedAgain(orAtNextAddress: true).contains(request.peerID)
                {
                    return "a fourth peer is asked after three answers that took long"
                }
                if roundBegan == nil { roundBegan = now }
                asked.insert(request.peerID)
                if asks > (16 + 3) * 2 * 2 * 3 + 6 * 2 * 2 { return "too many attempts" }
                open.append(Open(request: request))
                busyPeers.remove(request.peerID)
                if Int.random(in: 0..<4, using: &random) == 0 {
                    transfer.queued(request.attempt)
                    queued.insert(request.attempt)
                }
            case .cancel(let attempt), .release(let attempt):
                open.removeAll { $0.request.attempt == attempt }
            case .cancelLookup: lookupIsRunning = false
            case .startLookup:
                // What an earlier lookup found says nothing of this one.
                hasStarted = false
                if lookupIsRunning || hasLookedAgain { return "a lookup too many" }
                if transfer.delivery.content == nil, !lookupWasCut {
                    return "another lookup though the first one was complete"
                }
                lookupIsRunning = true
                hasLookedAgain = true
                // Others may have it by now.
                addProviders(30..<30 + Int.random(in: 0...2, using: &random))
            case .sendHead(let content):
                if let problem = take(head: content) { return problem }
            case .verify(let attempt, _):
                return perform(transfer.verified(attempt, matches: !hasTakenWrongBytes, now: now))
            case .sendHeld:
                received += held
                held = 0
                isHolding = false
            case .discardHeld:
                if promised == nil { hasTakenWrongBytes = false }
                held = 0
                isHolding = false
            case .ban(let peerID, _):
                if !corruptPeers.contains(peerID) { return "an honest peer is banned" }
            case .suspect:
                if !hasTakenWrongBytes { return "a peer is suspected without a reason" }
            case .end: ending = action
            case .firstByte(let peerID, let time):
                if !asked.contains(peerID) || time < .zero { return "a first byte before the request" }
            case .cutLookup, .read, .flush, .pace, .releaseLastChunk, .drain, .move, .stopMoving, .leave,
                .closeClient:
                return "\(action) though nothing was flushed or paced"
            }
        }
        return nil
    }

    /// Whether silent peers have cost so much time that no more are asked in their place than there are tries.
    private var isLate: Bool {
        roundBegan.map { now >= $0 + .seconds(5) } ?? false
    }

    private func checkThatAllWereAsked() -> String? {
        let left = Set(found.prefix(16)).subtracting(asked)
        return left.isEmpty || isLate ? nil : "an end though \(left) were not asked"
    }

    /// The peers that have failed after they had answered; no suspects.
    private var answered: Set<String> {
        let unanswered: [AttemptFailure] = [
            .cannotConnect("refused"), .connectTimeout, .headTimeout, .closed("before a head"),
        ]
        let peers = transfer.failures.lazy.filter { !unanswered.contains($0.failure) }.map(\.peerID)
        return Set(peers).filter { standings[$0]?.isSuspect != true }
    }

    /// The slow peers of whom the last that was heard is that they were silent, and that are asked again.
    private var waitedFor: Set<String> { slowPeersAskedAgain(orAtNextAddress: false) }

    /// - Parameter orAtNextAddress: whether those count that have refused since at an address that is not their last.
    private func slowPeersAskedAgain(orAtNextAddress: Bool) -> Set<String> {
        var waitedFor: Set<String> = []
        var rests = 0
        for failed in transfer.failures {
            if mayRest(failed), slowPeers.contains(failed.peerID), rests < 2 {
                rests += 1
                waitedFor.insert(failed.peerID)
            } else if orAtNextAddress, failed.failure.isOfConnecting,
                failed.address != lastAddresses[failed.peerID]
            {
                continue
            } else {
                waitedFor.remove(failed.peerID)
            }
        }
        return waitedFor
    }

    /// Whether a peer that failed so is asked again after a while, if it is only slow: not where another of its addresses
    /// is left.
    private func mayRest(_ failed: FailedAttempt) -> Bool {
        if failed.failure == .connectTimeout { return failed.address == lastAddresses[failed.peerID] }
        return failed.failure.isSilence
    }

    private func check() -> String? {
        if !open.isEmpty { return "a connection is left" }
        if lookupIsRunning { return "the lookup is left" }
        switch ending {
        case .end(.complete):
            guard let promised else { return "an end without a head" }
            let isChecked = promised.size <= checkedSize || mustHash || isTrailing
            if hasTakenWrongBytes, promised.range == 0..<promised.size, isChecked { return "wrong bytes were sent" }
            return received == promised.range.upperBound - promised.range.lowerBound ? nil : "bytes are missing"
        case .end(.cutShort):
            guard let promised, received > 0 else { return "cut short before the first byte" }
            if isTrailing, transfer.failures.last?.failure == .corrupt {
                return hasTakenWrongBytes ? nil : "cut short though nothing was wrong"
            }
            if let problem = checkThatAllWereAsked() { return problem }
            if !isLate, found.count < 16, !hasLookedAgain { return "no second lookup" }
            return received < promised.range.upperBound - promised.range.lowerBound ? nil : "cut short after the end"
        case .end(.notFound), .end(.overloaded):
            if (ending == .end(.notFound)) != hasStarted {
                return "\(String(describing: ending)), lookup started: \(hasStarted)"
            }
            if !busyPeers.isEmpty { return "404 though a peer is only busy" }
            if let peer = waitedFor.first { return "404 though \(peer) is only slow" }
            if let problem = checkThatAllWereAsked() { return problem }
            if !isLate, lookupWasCut, found.count < 16, !hasLookedAgain { return "no second lookup" }
            return promised == nil ? nil : "404 after a head"
        case .end(.unavailable): return promised == nil ? nil : "503 after a head"
        default: return "416 though the range is in the content"
        }
    }
}
