import Multiformats

/// Which addresses failed lately, so that they are not dialled again and again.
///
/// The wait doubles with each failure in a row. A pure value: time and randomness are passed in.
struct DialBackoff {
    /// The wait after the first failure.
    static let base = Duration.milliseconds(250)
    /// The longest wait.
    static let maximum = Duration.seconds(30)
    /// The most addresses that are remembered; beyond that, the one that may be dialled again soonest is forgotten.
    static let capacity = 1024

    private struct Entry {
        var failures: Int
        var retry: ContinuousClock.Instant
    }

    private var entries: [Multiaddr: Entry] = [:]

    /// How many addresses are remembered.
    var count: Int { entries.count }

    /// How long an address is not to be dialled; `nil` if it may be dialled now.
    func wait(for address: Multiaddr, now: ContinuousClock.Instant) -> Duration? {
        guard let entry = entries[address], now < entry.retry else { return nil }
        return now.duration(to: entry.retry)
    }

    /// Takes note of a dial that failed.
    ///
    /// - Parameter jitter: A random number from 0 to 1: the wait is between three quarters and five quarters of its
    ///   mean, so that hosts which lost the same peer do not come back at once.
    mutating func failed(_ address: Multiaddr, now: ContinuousClock.Instant, jitter: Double) {
        let failures = min((entries[address]?.failures ?? 0) + 1, 16)
        let mean = min(Self.base * (1 << (failures - 1)), Self.maximum)
        if entries[address] == nil, entries.count >= Self.capacity,
            let soonest = entries.min(by: { $0.value.retry < $1.value.retry })
        {
            entries[soonest.key] = nil
        }
        entries[address] = Entry(failures: failures, retry: now + mean * (0.75 + 0.5 * min(max(jitter, 0), 1)))
    }

    /// Forgets an address that could be dialled.
    mutating func succeeded(_ address: Multiaddr) {
        entries[address] = nil
    }

    /// Forgets all addresses of a machine that shows that it lives.
    mutating func forget(machine: IPAddress) {
        guard !entries.isEmpty else { return }
        for address in entries.keys where address.ipAddress == machine { entries[address] = nil }
    }
}
