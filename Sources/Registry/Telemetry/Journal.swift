import Mirroring
import OCI

/// What a registry remembers of what it did, for people: a value without a clock. It is written once for each request
/// that ends, never for a part of one.
struct Journal: Sendable {
    private(set) var history = TransferHistory()
    private var failureLog = FailureLog()

    /// The recent failures, the newest first.
    var failures: [FailureLog.Entry] { failureLog.newestFirst }

    /// A request was answered by other nodes, or could not be.
    ///
    /// - Parameters:
    ///   - bytes: what came from other nodes for it.
    ///   - now: in seconds since 1970, as in all of these.
    mutating func addMirrored(isHit: Bool, bytes: Int64, now: Double) {
        history.change(now: Int(now)) { period in
            if isHit { period.hits += 1 } else { period.misses += 1 }
            period.receivedBytes += bytes
        }
    }

    /// Content was sent to another node.
    mutating func addSent(_ bytes: Int64, now: Double) {
        history.change(now: Int(now)) { $0.sentBytes += bytes }
    }

    /// Content that no node had came from its source registry.
    mutating func addSource(_ bytes: Int64, now: Double) {
        history.change(now: Int(now)) { $0.sourceBytes += bytes }
    }

    /// Attempts at peers failed, or an answer was cut short.
    mutating func addFailures(of record: MirrorRecord, now: Double) {
        let isCutShort = record.ending == .cutShort
        guard isCutShort || !record.failures.isEmpty else { return }
        let content = record.request.content
        let entry = FailureLog.Entry(
            time: now,
            key: record.request.key,
            registry: content.registry?.text,
            repository: content.repository.text,
            reason: "cut_short",
            text: "no peer could give the rest; the client asks again"
        )
        for failure in record.failures {
            var one = entry
            one.peerID = failure.peerID
            one.address = failure.address
            one.reason = failure.reason
            one.text = failure.text
            failureLog.add(one)
        }
        if isCutShort { failureLog.add(entry) }
    }
}
