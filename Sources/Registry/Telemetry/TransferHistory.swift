/// What came from other nodes and what could not, over time. Only periods in which something happened take memory, and
/// of those only the last ones.
public struct TransferHistory: Hashable, Sendable {
    /// One period.
    public struct Period: Hashable, Sendable {
        /// When it begins, in seconds since 1970.
        public var start: Int
        /// Requests that other nodes answered.
        public var hits = 0
        /// Requests that no node could answer to the end.
        public var misses = 0
        /// Bytes that came from other nodes.
        public var receivedBytes: Int64 = 0
        /// Bytes that came from source registries after no node had them.
        public var sourceBytes: Int64 = 0
        /// Bytes that were sent to other nodes.
        public var sentBytes: Int64 = 0
    }

    /// Periods of one length.
    struct Series: Hashable, Sendable {
        /// The length of a period in seconds.
        let length: Int
        /// How many are kept.
        let limit: Int
        private(set) var periods: [Period] = []

        init(length: Int, limit: Int) {
            self.length = length
            self.limit = limit
        }

        mutating func change(now: Int, _ body: (inout Period) -> Void) {
            let start = now - now % length
            if let last = periods.last {
                // A clock that was set back: what happens goes on counting for the last period.
                if last.start < start { periods.append(Period(start: start)) }
            } else {
                periods.append(Period(start: start))
            }
            body(&periods[periods.count - 1])
            dropOld(now: now)
        }

        func current(now: Int) -> [Period] {
            var copy = self
            copy.dropOld(now: now)
            return copy.periods
        }

        private mutating func dropOld(now: Int) {
            let oldest = now - now % length - (limit - 1) * length
            let old = periods.prefix { $0.start < oldest }.count
            periods.removeFirst(max(old, periods.count - limit))
        }
    }

    /// How long a minute and a quarter are, in seconds, and how many of each are kept.
    public static let minutes = (length: 60, count: 60)
    /// The same of the quarters of an hour.
    public static let quarters = (length: 900, count: 96)

    /// All since the start; its time means nothing.
    public private(set) var total = Period(start: 0)

    private var minuteSeries = Series(length: minutes.length, limit: minutes.count)
    private var quarterSeries = Series(length: quarters.length, limit: quarters.count)

    /// Nothing has happened yet.
    public init() {}

    /// The last hour, by the minute.
    ///
    /// - Parameter now: in seconds since 1970.
    public func minutes(now: Int) -> [Period] { minuteSeries.current(now: now) }

    /// The last day, by the quarter of an hour.
    ///
    /// - Parameter now: in seconds since 1970.
    public func quarters(now: Int) -> [Period] { quarterSeries.current(now: now) }

    mutating func change(now: Int, _ body: (inout Period) -> Void) {
        body(&total)
        minuteSeries.change(now: now, body)
        quarterSeries.change(now: now, body)
    }
}
