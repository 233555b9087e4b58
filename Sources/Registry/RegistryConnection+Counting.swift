import CoreMetrics
import NIOCore
import OCI

extension RegistryConnection {
    /// Tells the metrics of an answer that has ended.
    ///
    /// - Parameter bytes: how many bytes of its body have left.
    func count(_ settled: Exchange, bytes: Int64) {
        let counters = services.counters
        counters.changeInFlight(settled.handler, by: -1)
        counters.countExchange(
            settled.handler,
            method: settled.method,
            status: settled.status,
            nanoseconds: (NIODeadline.now() - settled.started).nanoseconds,
            bytes: bytes
        )
        guard let content = settled.content, settled.status == 200 || settled.status == 206, bytes > 0 else { return }
        let registry = counters.registry(counters.labels.label(content.content.registry))
        (content.isFromPeer ? registry.peerSentBytes : registry.clientSentBytes).increment(by: bytes)
        if content.isFromPeer { services.journal.addSent(bytes, now: RegistryJournal.now) }
    }
}
