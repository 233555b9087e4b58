import CoreMetrics
import Synchronization

/// What a ``RegistryServer`` tells swift-metrics. Handles are made once for each set of labels, of which there are few.
final class RegistryCounters: Sendable {
    /// The numbers that are kept for each registry.
    struct PerRegistry: Sendable {
        /// Bytes that were sent to this node's own clients.
        let clientSentBytes: Counter
        /// Bytes that were sent to other nodes.
        let peerSentBytes: Counter
        /// Bytes that came from other nodes.
        let peerReceivedBytes: Counter
        /// Bytes that came from the source registry, as far as that is known.
        let sourceReceivedBytes: Counter
    }

    /// What part of the server a request is for; v0.7 of Spegel tells its handlers apart by these names.
    enum Handler: String, Sendable {
        case content = "/v2/*"
        case ready = "/readyz"
        case live = "/livez"
        case other
    }

    /// How the search for the first provider of a key ended.
    enum Lookup: String, Sendable {
        case found
        case notFound = "not_found"
        case timedOut = "timed_out"
        case cancelled
    }

    private struct Exchange: Hashable {
        var handler: Handler
        var method: String
        var code: Int
    }

    private struct Mirroring: Hashable {
        var registry: String
        var isHit: Bool
        var isExternal: Bool
    }

    private struct State {
        var registries: [String: PerRegistry] = [:]
        var exchanges: [Exchange: (duration: Timer, size: Recorder)] = [:]
        var inFlight: [Handler: Meter] = [:]
        var mirrorings: [Mirroring: Counter] = [:]
        var lookups: [Lookup: Counter] = [:]
        var failures: [String: Counter] = [:]
    }

    let labels: RegistryLabels
    private let factory: any MetricsFactory
    private let resolveDuration: Timer
    private let lastSuccess: Gauge
    /// Bytes that came from other nodes, by where those are.
    let bytesOfSameZone: Counter
    let bytesOfOtherZones: Counter
    let bytesOfUnknownZone: Counter
    private let state = Mutex(State())

    init(factory: any MetricsFactory, labels: RegistryLabels) {
        self.factory = factory
        self.labels = labels
        resolveDuration = Timer(
            label: "spegel_resolve_duration_seconds",
            dimensions: [("router", "libp2p")],
            factory: factory
        )
        func counter(_ zone: String) -> Counter {
            Counter(label: "spegel_zone_received_bytes_total", dimensions: [("zone", zone)], factory: factory)
        }
        bytesOfSameZone = counter("same")
        bytesOfOtherZones = counter("other")
        bytesOfUnknownZone = counter("unknown")
        lastSuccess = Gauge(label: "spegel_mirror_last_success_timestamp_seconds", factory: factory)
    }

    func registry(_ label: String) -> PerRegistry {
        state.withLock { state in
            if let known = state.registries[label] { return known }
            func counter(_ name: String) -> Counter {
                Counter(label: name, dimensions: [("registry", label)], factory: factory)
            }
            let new = PerRegistry(
                clientSentBytes: counter("spegel_client_sent_bytes_total"),
                peerSentBytes: counter("spegel_peer_sent_bytes_total"),
                peerReceivedBytes: counter("spegel_peer_received_bytes_total"),
                sourceReceivedBytes: counter("spegel_source_received_bytes_total")
            )
            state.registries[label] = new
            return new
        }
    }

    /// A request is being answered, or is so no more.
    func changeInFlight(_ handler: Handler, by change: Double) {
        let meter = state.withLock { state in
            if let known = state.inFlight[handler] { return known }
            let dimensions = [("handler", handler.rawValue)]
            let new = Meter(label: "http_requests_inflight", dimensions: dimensions, factory: factory)
            state.inFlight[handler] = new
            return new
        }
        meter.increment(by: change)
    }

    /// A request was answered.
    ///
    /// - Parameter status: 0 where the client went before there was an answer.
    func countExchange(_ handler: Handler, method: String, status: Int, nanoseconds: Int64, bytes: Int64) {
        let key = Exchange(handler: handler, method: method, code: status)
        let (duration, size) = state.withLock { state in
            if let known = state.exchanges[key] { return known }
            let code = status == 0 ? "none" : String(status)
            let dimensions = [("handler", handler.rawValue), ("method", method), ("code", code)]
            let new = (
                duration: Timer(label: "http_request_duration_seconds", dimensions: dimensions, factory: factory),
                size: Recorder(label: "http_response_size_bytes", dimensions: dimensions, factory: factory)
            )
            state.exchanges[key] = new
            return new
        }
        duration.recordNanoseconds(nanoseconds)
        size.record(bytes)
    }

    /// A request was mirrored (a hit) or could not be.
    ///
    /// - Parameter now: in seconds since 1970.
    func countMirrored(registry: String, isHit: Bool, isExternal: Bool, now: Double) {
        let key = Mirroring(registry: registry, isHit: isHit, isExternal: isExternal)
        let counter = state.withLock { state in
            if let known = state.mirrorings[key] { return known }
            let new = Counter(
                label: "spegel_mirror_requests_total",
                dimensions: [
                    ("registry", registry), ("cache", isHit ? "hit" : "miss"),
                    ("source", isExternal ? "external" : "internal"),
                ],
                factory: factory
            )
            state.mirrorings[key] = new
            return new
        }
        counter.increment()
        if isHit { lastSuccess.record(now) }
    }

    /// The search for the first provider has ended.
    func countLookup(_ outcome: Lookup, nanoseconds: Int64) {
        let counter = state.withLock { state in
            if let known = state.lookups[outcome] { return known }
            let dimensions = [("outcome", outcome.rawValue)]
            let new = Counter(label: "spegel_lookups_total", dimensions: dimensions, factory: factory)
            state.lookups[outcome] = new
            return new
        }
        counter.increment()
        if outcome != .cancelled { resolveDuration.recordNanoseconds(nanoseconds) }
    }

    /// An attempt at a peer has failed.
    func countFailure(_ failure: MirrorTransfer.Failure) {
        let reason = failure.label
        let counter = state.withLock { state in
            if let known = state.failures[reason] { return known }
            let dimensions = [("reason", reason)]
            let new = Counter(label: "spegel_mirror_failed_attempts_total", dimensions: dimensions, factory: factory)
            state.failures[reason] = new
            return new
        }
        counter.increment()
    }
}

extension RegistryCounters.Handler {
    /// The handler of a request's target.
    init(target: String) {
        if target.utf8.starts(with: "/v2/".utf8) {
            self = .content
            return
        }
        switch target.prefix(while: { $0 != "?" }) {
        case "/readyz": self = .ready
        case "/livez": self = .live
        case "/v2": self = .content
        default: self = .other
        }
    }
}

extension MirrorTransfer.Failure {
    /// The failure without its details, of which there are few.
    var label: String {
        switch self {
        case .cannotConnect: "connect_failed"
        case .connectTimeout: "connect_timeout"
        case .closed: "closed"
        case .malformed: "malformed"
        case .headTimeout: "head_timeout"
        case .progressTimeout: "stalled"
        case .tooLong: "wrong_length"
        case .corrupt: "corrupt"
        case .busy: "busy"
        case .refused(let refusal):
            switch refusal {
            case .notFound: "not_found"
            case .status: "status"
            case .wrongDigest: "wrong_digest"
            case .wrongLength, .empty, .missingLength, .tooLarge: "wrong_length"
            case .wrongRange, .rangeIgnored: "wrong_range"
            case .missingMediaType, .wrongMediaType, .encoded: "malformed"
            case .unchecked: "unchecked"
            }
        }
    }
}
