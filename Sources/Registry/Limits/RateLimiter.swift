import Mirroring
import NIOCore
import Synchronization
import Time

/// The ``RateLimit`` of a direction, for transfers on all event loops.
final class RateLimiter: Sendable {
    /// How many transfers at a time it bears.
    let transfers: Int
    /// How many bytes a transfer asks for at a time.
    let chunk: Int
    private let limit: Mutex<RateLimit>

    init(bytesPerSecond: Int, maximumTransfers: Int) {
        let limit = RateLimit(bytesPerSecond: bytesPerSecond, maximumTransfers: maximumTransfers)
        transfers = limit.transfers
        chunk = limit.chunk
        self.limit = Mutex(limit)
    }

    /// Grants bytes.
    ///
    /// - Returns: when they may go: now, or later.
    func grant(_ count: Int, now: NIODeadline) -> NIODeadline {
        let now = MonotonicTime(nanoseconds: Int64(clamping: now.uptimeNanoseconds))
        let moment = limit.withLock { $0.grant(count, now: now) }
        return .uptimeNanoseconds(UInt64(clamping: moment.nanoseconds))
    }
}
