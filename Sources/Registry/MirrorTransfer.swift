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
    /// What the client asks for.
    struct Request: Hashable, Sendable {
        /// Whether only the head is wanted.
        var isHead: Bool
        /// Whether it is a manifest or a blob.
        var kind: DistributionRequest.Kind
        /// The digest, unless it is asked for by tag.
        var digest: Digest?
        /// The range that is wanted; only ever of a blob, and not with HEAD.
        var range: ByteRange?
    }

    /// How long and how often peers are tried.
    struct Limits: Hashable, Sendable {
        var resolveTimeout: TimeAmount = .milliseconds(20)
        var lookupTimeout: TimeAmount = .seconds(1)
        var connectTimeout: TimeAmount = .milliseconds(200)
        var headTimeout: TimeAmount = .seconds(2)
        var progressTimeout: TimeAmount = .seconds(2)
        /// How many providers are tried.
        var providers = 3
        /// How many addresses of each are tried.
        var addressesPerProvider = 4
    }

    /// Tells an attempt at a peer from all others of the same transfer.
    typealias AttemptID = Int

    /// A request to a peer.
    struct PeerRequest: Hashable, Sendable {
        var attempt: AttemptID
        var peerID: String
        var address: SocketAddress
        var asked: PeerResponseHead.Asked
        /// Whether a connection that was used before may serve.
        var mayReuse: Bool
    }

    /// What the driver has to do. After `finish`, `cutShort`, `notFound` and `rangeNotSatisfiable` nothing follows.
    enum Action: Hashable, Sendable {
        /// Connect to a peer and send it the request.
        case ask(PeerRequest)
        /// Close the connection of an attempt.
        case cancel(AttemptID)
        /// The answer of an attempt was read to its end; its connection may serve again.
        case release(AttemptID)
        /// No more providers are wanted.
        case cancelLookup
        /// Send the response head to the client.
        case sendHead(MirroredContent)
        /// The answer to the client is complete.
        case finish
        /// Send what is buffered, then close the client's connection cleanly: nobody has the rest.
        case cutShort
        /// Answer 404.
        case notFound
        /// Answer 416; the size of the whole content is given.
        case rangeNotSatisfiable(size: Int64)
    }

    /// What to do with a chunk of a peer's body.
    enum BodyAction: Hashable, Sendable {
        /// Nothing: it is of an attempt that was given up, or the client has these bytes already.
        case drop
        /// Forward it, less so many bytes at its start; before that, send the head if there is one.
        case forward(head: MirroredContent?, dropFirst: Int)
        /// The peer has sent too much.
        case fail([Action])
    }

    /// Why an attempt failed.
    enum Failure: Hashable, Sendable, CustomStringConvertible {
        case cannotConnect(String)
        case connectTimeout
        case closed(String)
        case malformed(String)
        case headTimeout
        case progressTimeout
        case refused(PeerRefusal)
        case tooLong

        var description: String {
            switch self {
            case .cannotConnect(let reason): "cannot connect: \(reason)"
            case .connectTimeout: "the connection was not made in time"
            case .closed(let reason): "the connection was closed: \(reason)"
            case .malformed(let reason): "the answer is malformed: \(reason)"
            case .headTimeout: "no answer in time"
            case .progressTimeout: "the body has stalled"
            case .refused(let refusal): refusal.description
            case .tooLong: "the body is longer than announced"
            }
        }
    }

    /// An attempt that failed, for the log.
    struct FailedAttempt: Hashable, Sendable {
        var peerID: String
        var address: SocketAddress
        var failure: Failure
    }

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
