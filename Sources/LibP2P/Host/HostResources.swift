import Synchronization

/// What all connections of a host share: the counters, and what is bounded over all of them.
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

    /// How many streams of peers are open.
    var inboundStreams: Int { streams.load(ordering: .relaxed) }

    /// Takes a place for a stream of a peer; `false` if there is none.
    func takeInboundStream() -> Bool {
        guard streams.wrappingAdd(1, ordering: .relaxed).newValue <= maxInboundStreams else {
            streams.wrappingSubtract(1, ordering: .relaxed)
            return false
        }
        return true
    }

    func releaseInboundStream() { streams.wrappingSubtract(1, ordering: .relaxed) }

    // MARK: Memory

    /// How many bytes wait on all connections to be read or to be sent.
    var bufferedBytes: Int { bytes.load(ordering: .relaxed) }

    /// Whether more bytes than allowed wait.
    var isOverMemory: Bool { bufferedBytes > maxBufferedBytes }

    /// Takes note that so many bytes more, or fewer, wait on a connection.
    func addBufferedBytes(_ difference: Int) {
        if difference != 0 { bytes.wrappingAdd(difference, ordering: .relaxed) }
    }
}
