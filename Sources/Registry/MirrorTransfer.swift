import NIOCore
import OCI
import Routing

/// The logic of one mirrored request: which peer is asked when, what of its answer reaches the client, and what happens
/// when it fails.
///
/// A value without I/O, clock or randomness: whoever drives it tells it what has happened and at what time, and carries
/// out the actions that it returns. The client gets exactly one of: a complete answer, an answer that is cut short where
/// the last peer has failed, or 404 when no peer has sent a single byte of the content.
///
/// A peer's response head is held back until the first byte of its body has come, so that a peer that answers and
/// then falls silent costs the client nothing. A peer that takes longer to send that byte than is usual is hedged:
/// others are asked beside it, the first to send wins, and the rest are given up. Small content is held back whole
/// until its digest was checked, so that a wrong copy costs a try at the next peer and not the client's pull.
///
/// Large content is hashed on its way where there is reason to, and its last chunk is held back until the digest was
/// checked: the client gets an answer that is cut short, and no peer that may be to blame is asked for the rest.
struct MirrorTransfer {
    /// What happens to bytes before the client gets them.
    private enum Delivery {
        /// Nothing.
        case direct
        /// All are held back until the digest was checked.
        case held
        /// The last of them are held back until the digest was checked.
        case trailing
    }

    let request: Request
    private let limits: Limits
    private var resolveDeadline: NIODeadline
    private var lookupDeadline: NIODeadline

    private var lookupIsRunning = true
    /// Whether it was called off before it had found all that it could.
    private var lookupWasCut = false
    private var looksAgain = false
    private var candidates: Candidates
    private var tries: Tries
    private let busyDeadline: NIODeadline
    /// How often a slow peer was left alone for a while.
    private var slowRests = 0
    private var attempts = Attempts()
    private var delivery = Delivery.direct
    private var clientTakesBytes = true

    /// What was promised to the client; `nil` until the head was sent.
    private(set) var content: MirroredContent?
    /// How many bytes of the body were taken for the client, those held back included.
    private(set) var sentBytes: Int64 = 0
    /// The peers whose bytes were taken.
    private(set) var sources: [String] = []
    /// The peer that was asked last, or whose body is being taken.
    private(set) var lastPeerID: String?
    private(set) var lastAddress: SocketAddress?
    /// The peers that were given up, and why.
    private(set) var failures: [FailedAttempt] = []
    /// Whether the peer whose body was taken last has checked the content itself before it sent it.
    private(set) var isCheckedByPeer = false
    /// How often a peer was asked beside slow ones.
    private(set) var hedges = 0
    /// Whether the last action was returned.
    private(set) var isFinished = false

    init(_ request: Request, limits: Limits, now: NIODeadline) {
        self.request = request
        self.limits = limits
        candidates = Candidates(limit: max(limits.providers, limits.peers), suspectLimit: limits.providers)
        tries = Tries(limit: limits.providers, time: limits.spareTime)
        lookupDeadline = now + max(limits.lookupTimeout, limits.resolveTimeout)
        resolveDeadline = lookupDeadline
        busyDeadline = now + limits.busyTimeout
    }

    /// When ``timePassed(now:)`` has to be called at the latest; `nil` when nothing but an event can change anything.
    var deadline: NIODeadline? {
        guard !isFinished else { return nil }
        var earliest = attempts.deadline
        func consider(_ other: NIODeadline) { earliest = earliest.map { min($0, other) } ?? other }
        if lookupIsRunning { consider(lookupEnd) }
        if let hedgeAt, nextIndex != nil { consider(hedgeAt) }
        if attempts.isEmpty, let next = candidates.restEnds(ofSuspects: !mayFindMore) {
            consider(min(next, busyDeadline))
        }
        return earliest
    }

    /// How many providers were found.
    var foundProviders: Int { candidates.seen }

    /// How many are of use.
    var providerLimit: Int { candidates.limit }

    /// Whether it is worth it to go on to look for more. If all that were found cannot be reached, others are looked for
    /// then.
    var wantsProviders: Bool {
        !isFinished && (looksAgain ? candidates.areWanted : candidates.seenUsable < limits.providers)
    }

    /// Whether all bytes that are taken are hashed before the last of them goes out, once the first have come. Where they
    /// are not, it makes no difference in which way they reach the client.
    var isHashed: Bool { delivery != .direct }

    /// Whether the body of an attempt, whose head has come, will be hashed.
    func isHashed(_ id: AttemptID) -> Bool {
        guard let index = index(of: id), case .receiving(let promised, _) = attempts.running[index].phase,
            content == nil,
            sentBytes == 0
        else { return isHashed }
        return delivery(of: promised, from: attempts.running[index].candidate.standing) != .direct
    }

    // MARK: The lookup

    /// The lookup is being carried out. From now on the resolve timeout runs: the time that a busy machine took to begin
    /// says nothing of whether somebody has the content.
    mutating func lookupStarted(now: NIODeadline) {
        resolveDeadline = min(now + limits.resolveTimeout, lookupDeadline)
        if looksAgain { lookupDeadline = resolveDeadline }
    }

    /// A provider was found. Whoever is trusted less is asked later, and a suspect when nobody else is left.
    mutating func found(
        _ provider: Provider,
        standing: PeerTrust.Standing = .trusted,
        now: NIODeadline
    ) -> [Action] {
        guard !isFinished, lookupIsRunning, candidates.add(provider, standing) else { return [] }
        return askNext(now: now)
    }

    /// The lookup has found all that it will, or was cut since no more were wanted.
    mutating func lookupEnded(wasCut: Bool = false, now: NIODeadline) -> [Action] {
        guard !isFinished, lookupIsRunning else { return [] }
        lookupIsRunning = false
        lookupWasCut = wasCut
        return askNext(now: now)
    }

    // MARK: The peers

    /// The peer of an attempt, which has only begun, fell silent of late: it has less time to answer this time.
    mutating func hurry(_ id: AttemptID) {
        guard let index = index(of: id), case .connecting = attempts.running[index].phase else { return }
        attempts.running[index].isHurried = true
    }

    /// An attempt cannot begin yet, since this node fetches as much as it may.
    mutating func queued(_ id: AttemptID) {
        guard let index = index(of: id), case .connecting = attempts.running[index].phase else { return }
        attempts.running[index].phase = .queued
        attempts.running[index].deadline = busyDeadline
        attempts.running[index].hedgeAt = .distantFuture
    }

    /// An attempt that was queued begins.
    mutating func admitted(_ id: AttemptID, now: NIODeadline) {
        guard let index = index(of: id), case .queued = attempts.running[index].phase else { return }
        attempts.running[index].phase = .connecting
        tries.waited(now - attempts.running[index].begun, now: now)
        attempts.running[index].deadline = now + limits.connectTimeout
        attempts.running[index].hedgeAt = now + limits.hedgeDelay * (index + 1)
    }

    /// The connection of an attempt is there and the request was sent.
    mutating func connected(_ id: AttemptID, reused: Bool, now: NIODeadline) {
        guard let index = index(of: id), case .connecting = attempts.running[index].phase else { return }
        attempts.running[index].phase = .waitingForHead(reused: reused)
        var limit =
            attempts.running[index].mustBeChecked ? max(limits.headTimeout, limits.checkTimeout) : limits.headTimeout
        if attempts.running[index].isHurried { limit = min(limit, limits.hurriedHeadTimeout) }
        attempts.running[index].deadline = now + limit
    }

    /// Whether it is an attempt's body that goes to the client.
    func isChosen(_ id: AttemptID) -> Bool { attempts.winner == id }

    /// The peer of an attempt under way.
    func peerID(of id: AttemptID) -> String? {
        index(of: id).map { attempts.running[$0].candidate.provider.peerID }
    }

    /// The response head of an attempt has come.
    mutating func received(_ head: PeerResponseHead, of id: AttemptID, now: NIODeadline) -> [Action] {
        guard let index = index(of: id), case .waitingForHead = attempts.running[index].phase else { return [] }
        let asked = attempts.running[index].asked
        if head.isBusy { return failed(id, .busy, now: now) }
        if let size = head.unsatisfiableSize(asked: asked, known: request.size) {
            return end(with: cancelAll() + [.rangeNotSatisfiable(size: size)])
        }
        do throws(PeerRefusal) {
            let (content, skip) = try head.content(asked: asked, for: request)
            guard head.isChecked || !attempts.running[index].mustBeChecked else { throw PeerRefusal.unchecked }
            attempts.running[index].phase = .receiving(content, skip: skip)
            attempts.running[index].deadline = clientTakesBytes ? now + limits.progressTimeout : nil
            return []
        } catch {
            return failed(id, .refused(error), now: now)
        }
    }

    /// So many bytes of the body of an attempt have come.
    mutating func received(bytes count: Int, of id: AttemptID, now: NIODeadline) -> BodyDecision {
        guard let index = index(of: id), case .receiving(let promised, let skip) = attempts.running[index].phase,
            count > 0
        else { return .drop }
        let losers = choose(id)
        if clientTakesBytes { attempts.running[0].deadline = now + limits.progressTimeout }
        let dropped = min(skip, Int64(count))
        if dropped > 0 { attempts.running[0].phase = .receiving(promised, skip: skip - dropped) }
        let useful = Int64(count) - dropped
        guard useful > 0 else { return BodyDecision(use: .drop, actions: losers) }
        let total = promised.range.upperBound - promised.range.lowerBound
        guard !request.isHead, useful <= total - sentBytes else {
            return BodyDecision(use: .drop, actions: losers + failed(id, .tooLong, now: now))
        }
        if content == nil, sentBytes == 0 {
            delivery = delivery(of: promised, from: attempts.running[0].candidate.standing)
        }
        sentBytes += useful
        noteSource()
        switch delivery {
        case .held: return BodyDecision(use: .hold(promised, dropFirst: Int(dropped)), actions: losers)
        case .direct, .trailing:
            return BodyDecision(use: .forward(head: takeHead(promised), dropFirst: Int(dropped)), actions: losers)
        }
    }

    /// There is no room to hold the content back. What was to be held goes on at once, but for the last bytes.
    ///
    /// - Returns: the head that is to be sent before.
    mutating func cannotHold(_ promised: MirroredContent) -> MirroredContent? {
        delivery = .trailing
        return takeHead(promised)
    }

    // MARK: What goes to the client without being seen

    /// How many bytes of an attempt's body are left, if they may go from the peer's socket straight to the client's:
    /// nothing of them is to be dropped or held back as a whole, and they are enough to be worth it. Where ``isHashed``
    /// says so, whoever moves them hashes them, and checks the digest before the last of them goes out.
    func spliceable(_ id: AttemptID) -> Int64? {
        guard let index = index(of: id), attempts.winner == id, delivery != .held, content != nil, !request.isHead,
            case .receiving(let promised, skip: 0) = attempts.running[index].phase
        else { return nil }
        let rest = promised.range.upperBound - promised.range.lowerBound - sentBytes
        return rest >= max(1, limits.splicedSize) ? rest : nil
    }

    /// So many bytes as ``spliceable(_:)`` gave are being moved. Until ``ended(_:now:)`` or ``failed(_:_:now:)`` nothing
    /// is heard of them but by ``spliced(bytes:of:)``.
    mutating func spliceBegan(_ id: AttemptID) {
        guard let index = index(of: id), case .receiving(let promised, _) = attempts.running[index].phase else {
            return
        }
        attempts.running[index].phase = .spliced(promised)
        attempts.running[index].deadline = nil
    }

    /// So many bytes have gone to the client. To be told before the end, once.
    mutating func spliced(bytes count: Int64, of id: AttemptID) {
        guard let index = index(of: id), case .spliced(let promised) = attempts.running[index].phase else { return }
        let rest = promised.range.upperBound - promised.range.lowerBound - sentBytes
        sentBytes += min(max(0, count), rest)
        // It may be that all that was seen of it was thrown away.
        if count > 0 { noteSource() }
    }

    /// What went to the client without being seen can be hashed no further, so that the end of it must not go out. Nobody is
    /// to blame.
    mutating func cannotCheck() -> [Action] {
        isFinished ? [] : end(with: cancelAll() + [.discardHeld, .cutShort])
    }

    /// The answer of an attempt has come to its end.
    mutating func ended(_ id: AttemptID, now: NIODeadline) -> [Action] {
        guard let index = index(of: id) else { return [] }
        let promised: MirroredContent
        switch attempts.running[index].phase {
        case .receiving(let content, _), .spliced(let content): promised = content
        case .queued, .connecting, .waitingForHead, .checking:
            return failed(id, .malformed("it has no head"), now: now)
        }
        guard isComplete(promised) else { return failed(id, .closed("the body is incomplete"), now: now) }
        let losers = choose(id)
        guard delivery == .direct || attempts.running[0].isSpliced else {
            attempts.running[0].phase = .checking(promised)
            attempts.running[0].deadline = nil
            return losers + [.check(id, promised)]
        }
        let head: [Action] = takeHead(promised).map { [.sendHead($0)] } ?? []
        return end(with: losers + [.release(id)] + head + [.finish])
    }

    /// The digest of what was held back was checked. Of what went to the client without being seen it is told only if it
    /// is wrong.
    mutating func checked(_ id: AttemptID, matches: Bool, now: NIODeadline) -> [Action] {
        guard let index = index(of: id) else { return [] }
        let promised: MirroredContent
        switch attempts.running[index].phase {
        case .checking(let content): promised = content
        case .spliced(let content) where !matches: promised = content
        default: return []
        }
        if matches {
            let head: [Action] = takeHead(promised).map { [.sendHead($0)] } ?? []
            return end(with: [.release(id)] + head + [.sendHeld, .finish])
        }
        // Of several peers only some are to blame, and it cannot be said who.
        let isClear = sources.count == 1
        let blame: [Action] =
            promised.digest.map { digest in
                sources.map { isClear ? .bar(peerID: $0, digest) : .suspect(peerID: $0, digest) }
            } ?? []
        return blame + failed(id, .corrupt, now: now)
    }

    /// An attempt has failed; its connection is closed or is to be closed.
    ///
    /// - Parameter isSlow: whether the peer, if it let time pass, has answered others meanwhile. Then it is asked again, as
    ///   one that is busy is.
    mutating func failed(_ id: AttemptID, _ failure: Failure, isSlow: Bool = false, now: NIODeadline) -> [Action] {
        guard !isFinished, let index = index(of: id) else { return [] }
        if attempts.winner == id, delivery == .trailing,
            case .receiving(let promised, _) = attempts.running[index].phase,
            isComplete(promised)
        {
            // All has come; what is left is to check it.
            attempts.running[index].phase = .checking(promised)
            attempts.running[index].deadline = nil
            return [.check(id, promised)]
        }
        let (attempt, wasWinner) = attempts.remove(at: index)
        var current = attempt
        let cancel = Action.cancel(id)
        var discard: [Action] = []
        if wasWinner {
            tries.beginRound()
            if failure != .corrupt, delivery == .direct, let content, isComplete(content) {
                return end(with: [cancel, .finish])
            }
            switch delivery {
            case .direct: break
            case .held:
                // Nothing has gone out, so the next peer begins anew: a digest must not be made of two peers' bytes.
                sentBytes = 0
                sources = []
                discard = [.discardHeld]
            case .trailing:
                // What has gone out is part of wrong content, and no peer can make it right.
                if failure == .corrupt {
                    record(current, failure)
                    return end(with: [cancel, .discardHeld, .cutShort])
                }
            }
        }
        if case .waitingForHead(reused: true) = current.phase, case .closed = failure {
            // The peer closed an idle connection at the moment that it was used: that says nothing of the peer.
            return [cancel, ask(current.candidate, at: current.address, mayReuse: false, now: now)]
        }
        if !current.isUnanswered(failure) { tries.answered(&current.candidate) }
        let otherAddress = failure == .busy ? nil : current.nextAddress(of: limits.addressesPerProvider)
        // Where there is another address, that is tried first.
        let isSlow = isSlow && failure.isTimeout && otherAddress == nil && slowRests < limits.slowRests
        if isSlow {
            slowRests += 1
            if failure == .connectTimeout { current.candidate.addressIndex = 0 }
        }
        if failure != .busy || !failures.contains(where: { $0.failure == .busy && $0.peerID == current.peerID }) {
            record(current, failure)
        }
        if failure.isTimeout, !wasWinner { attempts.replace(now: now) }
        if failure == .busy || isSlow { candidates.rest(current.candidate, until: now + limits.busyRest) }
        if let otherAddress {
            // Who refuses at one address may answer at another at once. Who is silent is asked again last.
            let isLast = failure == .connectTimeout
            if isLast { candidates.enqueue(otherAddress) } else { candidates.putFirst(otherAddress) }
        }
        return [cancel] + discard + askNext(now: now)
    }

    // MARK: The client and the clock

    /// The client has begun or ceased to take bytes. While it takes none, no peer is blamed for sending none.
    mutating func clientTakesBytes(_ takes: Bool, now: NIODeadline) {
        guard takes != clientTakesBytes else { return }
        clientTakesBytes = takes
        for index in attempts.running.indices {
            guard case .receiving = attempts.running[index].phase else { continue }
            attempts.running[index].deadline = takes ? now + limits.progressTimeout : nil
        }
    }

    /// The client has gone.
    mutating func clientClosed() -> [Action] {
        isFinished ? [] : end(with: cancelAll())
    }

    /// Time has passed.
    ///
    /// - Parameter isSlow: whether a peer that was silent for so long has answered others meanwhile.
    mutating func timePassed(now: NIODeadline, isSlow: (_ peerID: String) -> Bool = { _ in false }) -> [Action] {
        guard !isFinished else { return [] }
        var actions: [Action] = []
        if lookupIsRunning, now >= lookupEnd {
            lookupIsRunning = false
            actions.append(.cancelLookup)
        }
        for attempt in attempts.running {
            guard let deadline = attempt.deadline, now >= deadline, !isFinished else { continue }
            let failure: Failure? =
                switch attempt.phase {
                case .queued: .busy
                case .connecting: .connectTimeout
                case .waitingForHead: .headTimeout
                case .receiving: .progressTimeout
                case .spliced, .checking: nil
                }
            guard let failure else { continue }
            let isSlow = failure.isTimeout && isSlow(attempt.peerID)
            actions += failed(attempt.id, failure, isSlow: isSlow, now: now)
        }
        return isFinished ? actions : actions + askNext(now: now)
    }

    // MARK: -

    private func index(of id: AttemptID) -> Int? {
        isFinished ? nil : attempts.index(of: id)
    }

    /// When another peer is to be asked beside those that are slow to send.
    private var hedgeAt: NIODeadline? {
        hedges < limits.hedges ? attempts.hedgeAt : nil
    }

    /// Makes an attempt the one whose body goes to the client; the others are given up.
    private mutating func choose(_ id: AttemptID) -> [Action] {
        guard attempts.winner != id, let index = attempts.index(of: id) else { return [] }
        let chosen = attempts.running[index]
        lastPeerID = chosen.candidate.provider.peerID
        lastAddress = chosen.address
        isCheckedByPeer = chosen.mustBeChecked
        let losers = attempts.choose(chosen)
        // Whoever was only slower may still be of use if the winner fails.
        for loser in losers { candidates.enqueue(loser.candidate) }
        return losers.map { .cancel($0.id) }
    }

    /// What happens to content on its way. Only what is known by its digest and comes by as a whole can be checked.
    private func delivery(of promised: MirroredContent, from standing: PeerTrust.Standing) -> Delivery {
        guard promised.digest != nil, promised.range == 0..<promised.size else { return .direct }
        if promised.size <= limits.checkedSize { return .held }
        return request.mustHash || standing > .trusted ? .trailing : .direct
    }

    /// Whether a peer has to check itself what it is asked for.
    private func mustBeChecked(_ candidate: Candidate, _ asked: PeerResponseHead.Asked) -> Bool {
        guard !request.isHead else { return false }
        return switch candidate.standing {
        case .trusted: false
        // What is not hashed from the first byte on cannot be checked here.
        case .distrusted: asked != .whole && !isHashed
        case .suspect, .barred: true
        }
    }

    private mutating func takeHead(_ promised: MirroredContent) -> MirroredContent? {
        guard content == nil else { return nil }
        content = promised
        return promised
    }

    private mutating func noteSource() {
        guard let lastPeerID, sources.last != lastPeerID else { return }
        sources.append(lastPeerID)
    }

    private mutating func record(_ attempt: Attempt, _ failure: Failure) {
        failures.append(
            FailedAttempt(peerID: attempt.candidate.provider.peerID, address: attempt.address, failure: failure)
        )
    }

    private func isComplete(_ content: MirroredContent) -> Bool {
        request.isHead || sentBytes == content.range.upperBound - content.range.lowerBound
    }

    private func cancelAll() -> [Action] {
        attempts.running.map { .cancel($0.id) }
    }

    /// Asks another peer if none is being asked, or if the one that is asked is slow. Ends when nobody is left.
    private mutating func askNext(now: NIODeadline) -> [Action] {
        tries.timePassed(now: now)
        if !attempts.isEmpty {
            guard let hedgeAt, now >= hedgeAt else { return [] }
        }
        while let index = nextIndex {
            let candidate = candidates.take(at: index)
            guard let address = candidate.address else { continue }
            if !attempts.isEmpty { hedges += 1 }
            return [ask(candidate, at: address, mayReuse: true, now: now)]
        }
        guard attempts.isEmpty else { return [] }
        let mayWait = now < busyDeadline
        while mayWait, let candidate = candidates.takeRested(suspects: !mayFindMore, now: now) {
            guard let address = candidate.address else { continue }
            return [ask(candidate, at: address, mayReuse: true, now: now)]
        }
        guard !mayFindMore else { return [] }
        if mayLookAgain { return [lookAgain(now: now)] }
        if candidates.isNobodyResting { return end(with: [content == nil ? .notFound : .cutShort]) }
        return mayWait ? [] : end(with: [content == nil ? .unavailable : .cutShort])
    }

    /// Whether the lookup may find somebody else who can be asked.
    private var mayFindMore: Bool { lookupIsRunning && mayAskAnother }

    /// Whether somebody could be asked who is not found yet.
    private var mayAskAnother: Bool { candidates.areWanted && tries.allowAnother(inMidBody: content != nil) }

    /// Whether another lookup may help: where the client has got a part, since others may have the content by now, and
    /// where the first one was cut. It goes on for the resolve timeout.
    private var mayLookAgain: Bool {
        !lookupIsRunning && !looksAgain && mayAskAnother && (content != nil || lookupWasCut)
    }

    private mutating func lookAgain(now: NIODeadline) -> Action {
        looksAgain = true
        lookupIsRunning = true
        // Until it has begun.
        lookupDeadline = now + max(limits.lookupTimeout, limits.resolveTimeout)
        resolveDeadline = lookupDeadline
        return .lookAgain
    }

    /// When the lookup that is being carried out is given up.
    private var lookupEnd: NIODeadline {
        candidates.seenUsable == 0 ? resolveDeadline : lookupDeadline
    }

    /// The place of whoever is to be asked next, if anybody can be now.
    private var nextIndex: Int? {
        candidates.firstIndex { candidate in
            let isSuspect = candidate.standing == .suspect
            guard !isSuspect || !mayFindMore else { return false }
            let running = attempts.running.count {
                !$0.candidate.hasAnswered && ($0.candidate.standing == .suspect) == isSuspect
            }
            return tries.allow(candidate, beside: running, inMidBody: content != nil)
        }
    }

    private mutating func ask(
        _ candidate: Candidate,
        at address: SocketAddress,
        mayReuse: Bool,
        now: NIODeadline
    ) -> Action {
        var candidate = candidate
        tries.ask(&candidate, now: now)
        lastPeerID = candidate.provider.peerID
        lastAddress = address
        let asked: PeerResponseHead.Asked =
            if let content {
                .rest(of: content, from: content.range.lowerBound + sentBytes)
            } else if let range = request.range {
                .range(range)
            } else {
                .whole
            }
        let id = attempts.nextID()
        let mustBeChecked = mustBeChecked(candidate, asked)
        attempts.running.append(
            Attempt(
                id: id,
                candidate: candidate,
                address: address,
                asked: asked,
                mustBeChecked: mustBeChecked,
                begun: now,
                deadline: now + limits.connectTimeout,
                hedgeAt: now + limits.hedgeDelay * (attempts.running.count + 1)
            )
        )
        return .ask(
            PeerRequest(
                attempt: id,
                peerID: candidate.provider.peerID,
                address: address,
                asked: asked,
                mayReuse: mayReuse,
                mustBeChecked: mustBeChecked
            )
        )
    }

    private mutating func end(with actions: [Action]) -> [Action] {
        isFinished = true
        attempts.running = []
        candidates.removeAll()
        let lookup: [Action] = lookupIsRunning ? [.cancelLookup] : []
        lookupIsRunning = false
        return lookup + actions
    }
}
