import Multiformats
import Time

/// The backoff of addresses whose dials failed.
///
/// The backoff doubles with each failure in a row. A pure value: time and randomness are passed in.
struct DialBackoff {
    /// The backoff after the first failure.
    static let base = Duration.milliseconds(250)
    /// The maximum backoff.
    static let maximum = Duration.seconds(30)
    /// The maximum number of addresses. Above it, the address with the earliest end of its backoff is dropped.
    static let capacity = 1024
    /// How long the failures in a row are remembered after the end of the backoff.
    static let memory = Duration.seconds(600)

    private struct Entry {
        var failures: Int
        var retry: MonotonicTime
    }

    private var entries = ExpiringMap<Multiaddr, Entry>(limit: Self.capacity)

    /// The number of addresses with a backoff.
    var count: Int { entries.count }

    /// The remaining backoff of an address; `nil` if it may be dialled now.
    func wait(for address: Multiaddr, now: MonotonicTime) -> Duration? {
        guard let entry = entries.value(of: address, now: now), now < entry.retry else { return nil }
        return entry.retry - now
    }

    /// Records a failed dial.
    ///
    /// - Parameter jitter: A random number from 0 to 1. It scales the backoff by 75 % to 125 %, so that hosts that lost
    ///   the same peer do not redial at once.
    mutating func failed(_ address: Multiaddr, now: MonotonicTime, jitter: Double) {
        let failures = min((entries.value(of: address, now: now)?.failures ?? 0) + 1, 16)
        let mean = min(Self.base * (1 << (failures - 1)), Self.maximum)
        let backoff = mean * (0.75 + 0.5 * min(max(jitter, 0), 1))
        let entry = Entry(failures: failures, retry: now + backoff)
        entries.insert(entry, for: address, lifetime: backoff + Self.memory, now: now)
    }

    /// Drops the backoff of an address after a successful dial.
    mutating func succeeded(_ address: Multiaddr) {
        entries.remove(address)
    }

    /// Drops the backoff of all addresses of a machine that has proved to be alive.
    mutating func forget(machine: IPAddress) {
        guard !entries.isEmpty else { return }
        for address in Array(entries.keys) where address.ipAddress == machine { entries.remove(address) }
    }
}
