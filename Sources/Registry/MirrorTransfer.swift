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
/// then falls silent costs the client nothing.
///
/// Attempts have identifiers, so that more than one can be under way once slow peers are hedged.
struct MirrorTransfer {
    private struct Candidate {
        var provider: Provider
        var addressIndex = 0
        var address: SocketAddress? { provider.addresses.dropFirst(addressIndex).first }
    }

    private enum Phase {
        case connecting
        case waitingForHead(reused: Bool)
        case receiving(MirroredContent, skip: Int64)
    }

    private struct Attempt {
        var id: AttemptID
        var candidate: Candidate
        var address: SocketAddress
        var asked: PeerResponseHead.Asked
        var phase = Phase.connecting
        /// `nil` while the client takes nothing.
        var deadline: NIODeadline?
    }

    let request: Request
    private let limits: Limits
    private var resolveDeadline: NIODeadline
    private let lookupDeadline: NIODeadline

    private var lookupIsRunning = true
    private var seenPeers: [String] = []
    private var candidates: [Candidate] = []
    private var lastAttemptID = 0
    private var attempt: Attempt?
    private var clientTakesBytes = true

    /// What was promised to the client; `nil` until the head was sent.
    private(set) var content: MirroredContent?
    /// How many bytes of the body were given to the client.
    private(set) var sentBytes: Int64 = 0
    /// The peers that were asked last, and why those before were given up.
    private(set) var lastPeerID: String?
    private(set) var lastAddress: SocketAddress?
    private(set) var failures: [FailedAttempt] = []
    /// Whether the last action was returned.
    private(set) var isFinished = false

    init(_ request: Request, limits: Limits, now: NIODeadline) {
        self.request = request
        self.limits = limits
        lookupDeadline = now + max(limits.lookupTimeout, limits.resolveTimeout)
        resolveDeadline = lookupDeadline
    }

    /// When ``timePassed(now:)`` has to be called at the latest; `nil` when nothing but an event can change anything.
    var deadline: NIODeadline? {
        guard !isFinished else { return nil }
        var earliest = attempt?.deadline
        func consider(_ other: NIODeadline) { earliest = earliest.map { min($0, other) } ?? other }
        if lookupIsRunning { consider(seenPeers.isEmpty ? resolveDeadline : lookupDeadline) }
        return earliest
    }

    /// How many providers are of use.
    var providerLimit: Int { limits.providers }

    // MARK: The lookup

    /// The lookup is being carried out. From now on the resolve timeout runs: the time that a busy machine took to begin
    /// says nothing of whether somebody has the content.
    mutating func lookupStarted(now: NIODeadline) {
        resolveDeadline = min(now + limits.resolveTimeout, lookupDeadline)
    }

    /// A provider was found.
    mutating func found(_ provider: Provider, now: NIODeadline) -> [Action] {
        guard !isFinished, lookupIsRunning, seenPeers.count < limits.providers else { return [] }
        guard !provider.addresses.isEmpty, !seenPeers.contains(provider.peerID) else { return [] }
        seenPeers.append(provider.peerID)
        candidates.append(Candidate(provider: provider))
        return attempt == nil ? askNext(now: now) : []
    }

    /// The lookup has found all that it will.
    mutating func lookupEnded(now: NIODeadline) -> [Action] {
        guard !isFinished, lookupIsRunning else { return [] }
        lookupIsRunning = false
        return attempt == nil ? askNext(now: now) : []
    }

    // MARK: The peers

    /// The connection of an attempt is there and the request was sent.
    mutating func connected(_ id: AttemptID, reused: Bool, now: NIODeadline) {
        guard attempt?.id == id, case .connecting = attempt?.phase else { return }
        attempt?.phase = .waitingForHead(reused: reused)
        attempt?.deadline = now + limits.headTimeout
    }

    /// The response head of an attempt has come.
    mutating func received(_ head: PeerResponseHead, of id: AttemptID, now: NIODeadline) -> [Action] {
        guard let current = attempt, current.id == id, case .waitingForHead = current.phase else { return [] }
        if let size = head.unsatisfiableSize(asked: current.asked) {
            return end(with: [.cancel(id), .rangeNotSatisfiable(size: size)])
        }
        do {
            let (content, skip) = try head.content(asked: current.asked, for: request)
            attempt?.phase = .receiving(content, skip: skip)
            attempt?.deadline = clientTakesBytes ? now + limits.progressTimeout : nil
            return []
        } catch {
            return failed(id, .refused(error), now: now)
        }
    }

    /// So many bytes of the body of an attempt have come.
    mutating func received(bytes count: Int, of id: AttemptID, now: NIODeadline) -> BodyAction {
        guard let current = attempt, current.id == id, case .receiving(let promised, let skip) = current.phase,
            count > 0
        else { return .drop }
        if clientTakesBytes { attempt?.deadline = now + limits.progressTimeout }
        let dropped = min(skip, Int64(count))
        if dropped > 0 { attempt?.phase = .receiving(promised, skip: skip - dropped) }
        let useful = Int64(count) - dropped
        guard useful > 0 else { return .drop }
        let total = promised.range.upperBound - promised.range.lowerBound
        guard !request.isHead, useful <= total - sentBytes else { return .fail(failed(id, .tooLong, now: now)) }
        sentBytes += useful
        guard content == nil else { return .forward(head: nil, dropFirst: Int(dropped)) }
        content = promised
        return .forward(head: promised, dropFirst: Int(dropped))
    }

    /// The answer of an attempt has come to its end.
    mutating func ended(_ id: AttemptID, now: NIODeadline) -> [Action] {
        guard let current = attempt, current.id == id else { return [] }
        guard case .receiving(let promised, _) = current.phase else {
            return failed(id, .malformed("it has no head"), now: now)
        }
        guard isComplete(promised) else { return failed(id, .closed("the body is incomplete"), now: now) }
        let head: [Action] = content == nil ? [.sendHead(promised)] : []
        content = promised
        return end(with: [.release(id)] + head + [.finish])
    }

    /// An attempt has failed; its connection is closed or is to be closed.
    mutating func failed(_ id: AttemptID, _ failure: Failure, now: NIODeadline) -> [Action] {
        guard !isFinished, let current = attempt, current.id == id else { return [] }
        attempt = nil
        let cancel = Action.cancel(id)
        if let content, isComplete(content) { return end(with: [cancel, .finish]) }
        if case .waitingForHead(reused: true) = current.phase, case .closed = failure {
            // The peer closed an idle connection at the moment that it was used: that says nothing of the peer.
            return [cancel, ask(current.candidate, at: current.address, mayReuse: false, now: now)]
        }
        failures.append(
            FailedAttempt(peerID: current.candidate.provider.peerID, address: current.address, failure: failure)
        )
        if case .connecting = current.phase {
            var other = current.candidate
            other.addressIndex += 1
            if other.addressIndex < limits.addressesPerProvider, other.address != nil {
                // Who refuses at one address may answer at another at once. Who is silent is asked again last.
                if failure == .connectTimeout { candidates.append(other) } else { candidates.insert(other, at: 0) }
            }
        }
        return [cancel] + askNext(now: now)
    }

    // MARK: The client and the clock

    /// The client has begun or ceased to take bytes. While it takes none, no peer is blamed for sending none.
    mutating func clientTakesBytes(_ takes: Bool, now: NIODeadline) {
        guard takes != clientTakesBytes else { return }
        clientTakesBytes = takes
        guard case .receiving = attempt?.phase else { return }
        attempt?.deadline = takes ? now + limits.progressTimeout : nil
    }

    /// The client has gone.
    mutating func clientClosed() -> [Action] {
        guard !isFinished else { return [] }
        return end(with: attempt.map { [.cancel($0.id)] } ?? [])
    }

    /// Time has passed.
    mutating func timePassed(now: NIODeadline) -> [Action] {
        guard !isFinished else { return [] }
        var actions: [Action] = []
        if lookupIsRunning, now >= (seenPeers.isEmpty ? resolveDeadline : lookupDeadline) {
            lookupIsRunning = false
            actions.append(.cancelLookup)
            if attempt == nil { return actions + askNext(now: now) }
        }
        guard let current = attempt, let deadline = current.deadline, now >= deadline else { return actions }
        let failure: Failure =
            switch current.phase {
            case .connecting: .connectTimeout
            case .waitingForHead: .headTimeout
            case .receiving: .progressTimeout
            }
        return actions + failed(current.id, failure, now: now)
    }

    // MARK: -

    private func isComplete(_ content: MirroredContent) -> Bool {
        request.isHead || sentBytes == content.range.upperBound - content.range.lowerBound
    }

    private mutating func askNext(now: NIODeadline) -> [Action] {
        while !candidates.isEmpty {
            let candidate = candidates.removeFirst()
            guard let address = candidate.address else { continue }
            return [ask(candidate, at: address, mayReuse: true, now: now)]
        }
        if lookupIsRunning, seenPeers.count < limits.providers { return [] }
        return end(with: [content == nil ? .notFound : .cutShort])
    }

    private mutating func ask(
        _ candidate: Candidate,
        at address: SocketAddress,
        mayReuse: Bool,
        now: NIODeadline
    ) -> Action {
        lastAttemptID += 1
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
        attempt = Attempt(
            id: lastAttemptID,
            candidate: candidate,
            address: address,
            asked: asked,
            deadline: now + limits.connectTimeout
        )
        return .ask(
            PeerRequest(
                attempt: lastAttemptID,
                peerID: candidate.provider.peerID,
                address: address,
                asked: asked,
                mayReuse: mayReuse
            )
        )
    }

    private mutating func end(with actions: [Action]) -> [Action] {
        isFinished = true
        attempt = nil
        candidates.removeAll()
        let lookup: [Action] = lookupIsRunning ? [.cancelLookup] : []
        lookupIsRunning = false
        return lookup + actions
    }
}
