import Time

/// The load, the speed and the silence of one peer, as this node has seen them.
struct PeerRecord: Sendable {
    /// How long after the last request started or ended a record is kept.
    static let lifetime = Duration.seconds(600)

    /// Where it was asked last.
    var address: PeerAddress?
    /// The requests that are in flight.
    var inFlight = 0
    /// The mean time to the first byte, in nanoseconds; `nil` before one was seen.
    var firstByte: Double?
    /// When a request was started last.
    var lastRequest: MonotonicTime?
    /// Until when it comes last in the selection, after it has failed or was busy.
    var penaltyEnds: MonotonicTime?
    /// When it answered any request last.
    var lastAnswer: MonotonicTime?
    /// Until when it counts as silent.
    var silenceEnds: MonotonicTime?
    /// Until when the record is kept if no request is in flight.
    private(set) var end = MonotonicTime(nanoseconds: .min)

    /// Keeps the record for so long at least.
    mutating func keep(for lifetime: Duration, now: MonotonicTime) {
        end = max(end, now + lifetime)
    }

    /// How much longer it is kept. As long as a request is in flight, it is not forgotten.
    func remainingLifetime(now: MonotonicTime) -> Duration {
        inFlight > 0 ? .nanoseconds(Int64.max) : end - now
    }

    /// Whether the peer has answered any request within so short a time.
    func hasAnswered(within time: Duration, now: MonotonicTime) -> Bool {
        lastAnswer.map { now - $0 < time } ?? false
    }

    func isPenalised(now: MonotonicTime) -> Bool {
        penaltyEnds.map { now < $0 } ?? false
    }

    var isValid: Bool {
        inFlight >= 0 && firstByte.map { $0.isFinite && $0 > 0 } ?? true
    }
}
