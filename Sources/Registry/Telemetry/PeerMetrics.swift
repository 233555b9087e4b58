import CoreMetrics
import Synchronization

/// What is counted of peers and of transfers from them.
final class PeerMetrics: Sendable {
    /// Bytes that came from peers, by the zones that these are in.
    struct ZoneCounters: Sendable {
        let same: Counter
        let other: Counter
        let unknown: Counter

        init(factory: any MetricsFactory) {
            func counter(_ zone: String) -> Counter {
                Counter(label: "spegel_zone_received_bytes_total", dimensions: [("zone", zone)], factory: factory)
            }
            same = counter("same")
            other = counter("other")
            unknown = counter("unknown")
        }
    }

    /// Transfers from peers that are under way; not exported.
    let mirrors = Atomic(0)
    let connections: ReadableGauge
    let hedges: ReadableCounter
    let digestMismatches: ReadableCounter
    let zones: ZoneCounters
    /// When a request was mirrored last, in seconds since 1970.
    let lastSuccess: Gauge
    private let resolveDuration: Timer
    private let lookups: [Counter]

    init(factory: any MetricsFactory) {
        connections = ReadableGauge(Meter(label: "spegel_registry_peer_connections", factory: factory))
        hedges = ReadableCounter(Counter(label: "spegel_mirror_hedged_attempts_total", factory: factory))
        digestMismatches = ReadableCounter(Counter(label: "spegel_verification_failures_total", factory: factory))
        zones = ZoneCounters(factory: factory)
        lastSuccess = Gauge(label: "spegel_mirror_last_success_timestamp_seconds", factory: factory)
        resolveDuration = Timer(
            label: "spegel_resolve_duration_seconds",
            dimensions: [("router", "libp2p")],
            factory: factory
        )
        lookups = LookupOutcome.allCases.map { outcome in
            Counter(label: "spegel_lookups_total", dimensions: [("outcome", outcome.label)], factory: factory)
        }
    }

    /// Counts a search for the first provider.
    func countLookup(_ outcome: LookupOutcome, nanoseconds: Int64) {
        lookups[outcome.rawValue].increment()
        if outcome != .cancelled { resolveDuration.recordNanoseconds(nanoseconds) }
    }
}
