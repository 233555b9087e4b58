import Glibc
import OCI
import Synchronization

/// What a registry remembers of what it did, for people. It is written once for each request that ends, and never for a
/// part of one.
final class RegistryJournal: Sendable {
    private struct State {
        var history = TransferHistory()
        var failures = FailureLog()
    }

    private let state = Mutex(State())

    /// The time, in seconds since 1970.
    static var now: Double {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
    }

    var history: TransferHistory { state.withLock { $0.history } }
    var failures: [FailureLog.Entry] { state.withLock { $0.failures.newestFirst } }

    /// A request was answered by other nodes, or could not be.
    func addMirrored(isHit: Bool, bytes: Int64, now: Double) {
        state.withLock { state in
            state.history.change(now: Int(now)) { period in
                if isHit { period.hits += 1 } else { period.misses += 1 }
                period.receivedBytes += bytes
            }
        }
    }

    /// Content was sent to another node.
    func addSent(_ bytes: Int64, now: Double) {
        state.withLock { $0.history.change(now: Int(now)) { $0.sentBytes += bytes } }
    }

    /// Content that no node had came from its source.
    func addSource(_ bytes: Int64, now: Double) {
        state.withLock { $0.history.change(now: Int(now)) { $0.sourceBytes += bytes } }
    }

    /// Attempts failed, and the answer was cut short or not.
    func addFailures(_ failures: [MirrorTransfer.FailedAttempt], isCutShort: Bool, of request: ContentRequest) {
        guard isCutShort || !failures.isEmpty else { return }
        let entry = FailureLog.Entry(
            time: Self.now,
            key: request.key,
            registry: request.content.registry?.text,
            repository: request.content.repository.text,
            reason: "cut_short",
            text: "nobody could give the rest; the client asks again"
        )
        state.withLock { state in
            for failure in failures {
                var one = entry
                one.peerID = failure.peerID
                one.address = failure.address.hostHeader
                one.reason = failure.failure.label
                one.text = failure.failure.description
                state.failures.add(one)
            }
            if isCutShort { state.failures.add(entry) }
        }
    }
}
