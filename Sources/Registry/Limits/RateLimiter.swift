import NIOCore
import Synchronization

/// The ``RateLimit`` of a direction, for transfers on all event loops.
final class RateLimiter: Sendable {
    /// How many transfers at a time it bears.
    let transfers: Int
    /// How many bytes a transfer asks for at a time: less the slower and the more they are, so that each has its turn
    /// several times in a second.
    let chunk: Int
    private let limit: Mutex<RateLimit>

    init(bytesPerSecond: Int, maximumTransfers: Int) {
        transfers = min(max(1, maximumTransfers), RateLimit.transfers(atRate: bytesPerSecond))
        chunk = min(max(bytesPerSecond / transfers / 4, RateLimit.chunks.lowerBound), RateLimit.chunks.upperBound)
        limit = Mutex(RateLimit(bytesPerSecond: bytesPerSecond))
    }

    /// Grants bytes.
    ///
    /// - Returns: when they may go: now, or later.
    func grant(_ count: Int, now: NIODeadline) -> NIODeadline {
        limit.withLock { $0.grant(count, now: now) }
    }
}
