import Synchronization

/// The counters and limits that all connections of a host share.
final class HostResources: Sendable {
    private let counters = Mutex(HostStatistics())
    private let streams = Atomic<Int>(0)
    private let bytes = Atomic<Int>(0)
    private let maxInboundStreams: Int
    private let maxBufferedBytes: Int

    init(configuration: HostConfiguration) {
        maxInboundStreams = configuration.maxInboundStreams
        maxBufferedBytes = configuration.maxBufferedBytes
    }

    var statistics: HostStatistics { counters.withLock { $0 } }

    func count(_ change: (inout HostStatistics) -> Void) {
        counters.withLock { change(&$0) }
    }

    // MARK: Streams of peers

    /// The number of open inbound streams.
    var inboundStreams: Int { streams.load(ordering: .relaxed) }

    /// Reserves a slot for an inbound stream. Returns `false` at the limit.
    func takeInboundStream() -> Bool {
        guard streams.wrappingAdd(1, ordering: .relaxed).newValue <= maxInboundStreams else {
            streams.wrappingSubtract(1, ordering: .relaxed)
            return false
        }
        return true
    }

    func releaseInboundStream() { streams.wrappingSubtract(1, ordering: .relaxed) }

    // MARK: Memory

    /// The number of unread and unsent bytes of all connections.
    var bufferedBytes: Int { bytes.load(ordering: .relaxed) }

    /// Whether the limit of buffered bytes is exceeded.
    var isOverMemory: Bool { bufferedBytes > maxBufferedBytes }

    /// Adds the change of a connection's buffered bytes.
    func addBufferedBytes(_ difference: Int) {
        if difference != 0 { bytes.wrappingAdd(difference, ordering: .relaxed) }
    }
}
