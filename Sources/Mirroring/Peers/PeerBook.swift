import OCI
import Time

/// What this node has seen of its peers, one record for each, and which of them is asked first for that reason.
///
/// A value without clock or randomness of its own. ``PeerSelection`` is the policy of the order, ``PeerTrust`` that of
/// what a peer is trusted with.
///
/// A peer counts as *silent* for 10 s after it sent nothing for as long as it may, unless it answers before. A client
/// whose answer was truncated for it asks for the rest at once, and other requests for the same image follow; none of
/// them should wait as long again. A peer that times out but has answered another request meanwhile is only *slow*.
package struct PeerBook: Sendable {
    /// The most peers that are remembered. The one whose record ends first gives way, so one to which a request is in
    /// flight goes after all others.
    package static let limit = 1024
    /// How long a peer counts as silent. One that hangs is found out by then by other means.
    package static let silence = Duration.seconds(10)
    /// How long the peer that gave a range is asked without a lookup; then perhaps another one is found.
    package static let recentProviderLifetime = Duration.seconds(30)
    /// The most keys of which that peer is remembered; the one that ends first gives way.
    package static let recentProviderLimit = 1024

    private let progressTimeout: Duration
    private var records: ExpiringMap<String, PeerRecord>
    private var trust = PeerTrust()
    private var firstByteTimes = FirstByteTimes()
    /// The rate at which bodies come.
    package var usualRate = UsualRate()
    /// The peers that gave ranges of some content a moment ago. A client that reads content in many small ranges is so
    /// served by the same peer, over the same connection, and without a lookup for each.
    private var recentProviders = ExpiringMap<String, Peer>(limit: recentProviderLimit)

    /// - Parameter progressTimeout: how long a peer may send nothing.
    package init(progressTimeout: Duration, limit: Int = PeerBook.limit) {
        self.progressTimeout = progressTimeout
        records = ExpiringMap(limit: limit)
    }

    /// How many peers are remembered, with those whose time is over until they are found.
    package var count: Int { records.count }

    /// How many keys there are whose last provider is remembered, with those whose time is over until they are found.
    package var recentProviderCount: Int { recentProviders.count }

    /// Takes in what has happened with a peer.
    ///
    /// - Parameter address: where a request is started.
    package mutating func record(
        _ event: PeerEvent,
        of peerID: String,
        at address: PeerAddress? = nil,
        now: MonotonicTime
    ) {
        let progressTimeout = progressTimeout
        switch event {
        case .requestStarted:
            change(peerID, addsNew: true, now: now) { record in
                record.inFlight += 1
                record.address = address
                record.lastRequest = now
                record.keep(for: PeerRecord.lifetime, now: now)
            }
        case .requestEnded:
            change(peerID, addsNew: false, now: now) { record in
                record.inFlight = max(0, record.inFlight - 1)
                record.keep(for: PeerRecord.lifetime, now: now)
            }
        case .firstByte(let time):
            firstByteTimes.add(time)
            let sample = max(PeerSelection.shortestTime, Double(time.clampedNanoseconds))
            change(peerID, addsNew: false, now: now) { record in
                record.firstByte = record.firstByte.map { $0 + (sample - $0) / 4 } ?? sample
            }
        case .answered:
            change(peerID, addsNew: true, now: now) { record in
                record.lastAnswer = now
                record.silenceEnds = nil
                record.keep(for: progressTimeout, now: now)
            }
        case .failed(let wasBusy):
            change(peerID, addsNew: false, now: now) { record in
                record.penaltyEnds = now + (wasBusy ? PeerSelection.busyPenalty : PeerSelection.failurePenalty)
            }
        case .timedOut(let time):
            change(peerID, addsNew: true, now: now) { record in
                guard !record.hasAnswered(within: time, now: now) else { return }
                record.silenceEnds = now + Self.silence
                record.keep(for: Self.silence, now: now)
            }
        case .sentWrongBytes(let digest): trust.ban(peerID, digest, now: now)
        case .mayHaveSentWrongBytes(let digest): trust.suspect(peerID, digest, now: now)
        case .isDoubted(let digest): trust.doubt(peerID, digest, now: now)
        case .gaveRange(let key, let address):
            // That it was asked without a lookup does not renew it.
            guard recentProvider(of: key, now: now)?.id != peerID else { return }
            let peer = Peer(id: peerID, addresses: [address])
            recentProviders.insert(peer, for: key, lifetime: Self.recentProviderLifetime, now: now)
        case .failedToGive(let key):
            if recentProvider(of: key, now: now)?.id == peerID { recentProviders.remove(key) }
        }
    }

    /// - Parameter addsNew: whether a peer that is not known yet gets a record; where a request was started it has one.
    private mutating func change(
        _ peerID: String,
        addsNew: Bool,
        now: MonotonicTime,
        _ change: (inout PeerRecord) -> Void
    ) {
        guard var record = records.value(of: peerID, now: now) ?? (addsNew ? PeerRecord() : nil) else { return }
        change(&record)
        assert(record.isValid)
        records.insert(record, for: peerID, lifetime: record.remainingLifetime(now: now), now: now)
    }

    /// Where a peer was asked last; `nil` for one that is not remembered.
    package func address(of peerID: String, now: MonotonicTime) -> PeerAddress? {
        records.value(of: peerID, now: now)?.address
    }

    /// How many requests to a peer are in flight.
    package func inFlight(_ peerID: String, now: MonotonicTime) -> Int {
        records.value(of: peerID, now: now)?.inFlight ?? 0
    }

    /// Whether a peer has sent nothing for too long, and has answered no request since.
    package func isSilent(_ peerID: String, now: MonotonicTime) -> Bool {
        records.value(of: peerID, now: now)?.silenceEnds.map { now < $0 } ?? false
    }

    /// Whether a peer that times out now is only slow: it has answered another request within half the progress timeout.
    package func isSlow(_ peerID: String, now: MonotonicTime) -> Bool {
        records.value(of: peerID, now: now)?.hasAnswered(within: progressTimeout / 2, now: now) ?? false
    }

    /// How far a peer is trusted with some content.
    package func standing(of peerID: String, _ digest: Digest, now: MonotonicTime) -> PeerStanding {
        trust.standing(of: peerID, digest, now: now)
    }

    /// How long to wait for a peer's first byte before another peer is asked beside it.
    package var hedgeDelay: Duration { firstByteTimes.hedgeDelay }

    /// The peer that gave a range of some content a moment ago, at the address where it did.
    package func recentProvider(of key: String, now: MonotonicTime) -> Peer? {
        recentProviders.value(of: key, now: now)
    }

    /// Puts peers into the order in which they are to be asked, as ``PeerSelection`` says.
    package func order(
        _ peers: [Peer],
        now: MonotonicTime,
        using random: inout some RandomNumberGenerator,
        nearness: (Peer) -> Nearness
    ) -> [Peer] {
        guard peers.count > 1 else { return peers }
        let usual = max(PeerSelection.shortestTime, firstByteTimes.mean)
        let candidates = peers.map { peer in
            let record = records.value(of: peer.id, now: now) ?? PeerRecord()
            let isRecent = record.lastRequest.map { now < $0 + PeerSelection.slowMemory } ?? false
            return PeerSelection.Candidate(
                nearness: nearness(peer),
                isPenalised: record.isPenalised(now: now),
                inFlight: record.inFlight,
                firstByte: record.firstByte ?? usual,
                recentFirstByte: isRecent ? record.firstByte : nil
            )
        }
        return PeerSelection.order(candidates, using: &random).map { peers[$0] }
    }

    /// Whether all parts are what they should be. Takes linear time.
    package func checkInvariants(now: MonotonicTime) -> Bool {
        records.checkInvariants() && recentProviders.checkInvariants() && trust.checkInvariants()
            && records.keys.allSatisfy { records.value(of: $0, now: now)?.isValid ?? true }
    }
}
