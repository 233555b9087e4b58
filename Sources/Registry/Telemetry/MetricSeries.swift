import CoreMetrics

/// What is counted of the answers to one kind of request with one status.
final class ResponseSeries: Sendable {
    /// What tells the series apart.
    struct Key: Hashable, Sendable {
        var handler: RequestHandler
        var method: RequestMethod
        /// 0 where the client left before there was an answer.
        var status: Int
    }

    private let duration: Timer
    private let size: Recorder

    init(_ key: Key, factory: any MetricsFactory) {
        let dimensions = [
            ("handler", key.handler.label), ("method", key.method.label),
            ("code", key.status == 0 ? "none" : String(key.status)),
        ]
        duration = Timer(label: "http_request_duration_seconds", dimensions: dimensions, factory: factory)
        size = Recorder(label: "http_response_size_bytes", dimensions: dimensions, factory: factory)
    }

    func record(nanoseconds: Int64, bytes: Int64) {
        duration.recordNanoseconds(nanoseconds)
        size.record(bytes)
    }
}

/// What is counted for one registry.
final class RegistrySeries: Sendable {
    /// The registry, as metrics name it.
    let label: String
    /// Bytes that were sent to this node's own clients.
    let clientSentBytes: Counter
    /// Bytes that were sent to other nodes.
    let peerSentBytes: Counter
    /// Bytes that came from other nodes.
    let peerReceivedBytes: ReadableCounter
    /// Bytes that came from the source registry, as far as that is known.
    let sourceReceivedBytes: Counter
    private let hits: (external: Counter, own: Counter)
    private let misses: (external: Counter, own: Counter)

    init(_ label: String, factory: any MetricsFactory) {
        func counter(_ name: String) -> Counter {
            Counter(label: name, dimensions: [("registry", label)], factory: factory)
        }
        func requests(_ cache: String, _ source: String) -> Counter {
            let dimensions = [("registry", label), ("cache", cache), ("source", source)]
            return Counter(label: "spegel_mirror_requests_total", dimensions: dimensions, factory: factory)
        }
        self.label = label
        clientSentBytes = counter("spegel_client_sent_bytes_total")
        peerSentBytes = counter("spegel_peer_sent_bytes_total")
        peerReceivedBytes = ReadableCounter(counter("spegel_peer_received_bytes_total"))
        sourceReceivedBytes = counter("spegel_source_received_bytes_total")
        hits = (requests("hit", "external"), requests("hit", "internal"))
        misses = (requests("miss", "external"), requests("miss", "internal"))
    }

    /// Counts a request that was mirrored (a hit) or could not be.
    func countMirrored(isHit: Bool, isExternal: Bool) {
        let counters = isHit ? hits : misses
        (isExternal ? counters.external : counters.own).increment()
    }
}
