import CoreMetrics
import Synchronization

/// The metrics of a registry: swift-metrics exports them, and the node reads some of them itself.
///
/// A series is made once for each set of labels, of which there are few. Event loops keep those that they use in a
/// ``LoopTelemetry``.
final class RegistryMetrics: Sendable {
    private struct State {
        var registries: [String: RegistrySeries] = [:]
        var responses: [ResponseSeries.Key: ResponseSeries] = [:]
        var failures: [String: ReadableCounter] = [:]
    }

    let labels: RegistryLabels
    let clients: ClientMetrics
    let peers: PeerMetrics
    private let factory: any MetricsFactory
    private let state = Mutex(State())

    init(factory: any MetricsFactory, labels: RegistryLabels) {
        self.factory = factory
        self.labels = labels
        clients = ClientMetrics(factory: factory)
        peers = PeerMetrics(factory: factory)
    }

    /// The series of a registry, by its label.
    func registry(label: String) -> RegistrySeries {
        state.withLock { state in
            if let known = state.registries[label] { return known }
            let new = RegistrySeries(label, factory: factory)
            state.registries[label] = new
            return new
        }
    }

    /// The series of some answers.
    func responses(_ key: ResponseSeries.Key) -> ResponseSeries {
        state.withLock { state in
            if let known = state.responses[key] { return known }
            let new = ResponseSeries(key, factory: factory)
            state.responses[key] = new
            return new
        }
    }

    /// Counts an attempt at a peer that has failed.
    ///
    /// - Parameter reason: one of few.
    func countFailure(_ reason: String) {
        let counter = state.withLock { state in
            if let known = state.failures[reason] { return known }
            let name = "spegel_mirror_failed_attempts_total"
            let new = ReadableCounter(Counter(label: name, dimensions: [("reason", reason)], factory: factory))
            state.failures[reason] = new
            return new
        }
        counter.add()
    }

    /// Transfers from peers that are under way now.
    var currentMirrors: Int { peers.mirrors.load(ordering: .relaxed) }

    /// Connections to peers open or close.
    func changePeerConnections(by change: Int) { peers.connections.change(by: change) }

    /// All numbers that the node reads itself, now.
    var snapshot: MetricsSnapshot {
        let (receivedBytes, failures) = state.withLock { state in
            (
                state.registries.values.reduce(0) { $0 + $1.peerReceivedBytes.value },
                state.failures.values.reduce(0) { $0 + $1.value }
            )
        }
        return MetricsSnapshot(
            outcomes: clients.outcomes.values,
            localBytes: clients.localBytes.load(ordering: .relaxed),
            relayedBytes: receivedBytes,
            failedAttempts: failures,
            hedges: peers.hedges.value,
            corruptAnswers: peers.digestMismatches.value,
            refusals: clients.rejections.values,
            acceptFailures: clients.acceptFailures.value,
            openConnections: clients.connections.value,
            peerConnections: peers.connections.value,
            requestsInFlight: clients.inFlight.total,
            mirrorsInFlight: currentMirrors
        )
    }
}
