import CoreMetrics
import Synchronization

/// What is counted of clients and their requests.
final class ClientMetrics: Sendable {
    let outcomes: OutcomeCounters
    let rejections: RejectionCounters
    let inFlight: InFlightGauges
    /// Bytes of content sent from the node's own store; not exported.
    let localBytes = Atomic(0)
    let acceptFailures: ReadableCounter
    let connections: ReadableGauge

    /// The requests for content that are being answered, and how many were answered since the start.
    var contentRequests: (running: Int, ended: Int) { (inFlight[.content].value, outcomes.total) }

    init(factory: any MetricsFactory) {
        outcomes = OutcomeCounters(factory: factory)
        rejections = RejectionCounters(factory: factory)
        inFlight = InFlightGauges(factory: factory)
        acceptFailures = ReadableCounter(Counter(label: "spegel_registry_accept_failures_total", factory: factory))
        connections = ReadableGauge(Meter(label: "spegel_registry_connections", factory: factory))
    }
}

/// The answers by how they ended.
struct OutcomeCounters: Sendable {
    private let counters: [ReadableCounter]

    init(factory: any MetricsFactory) {
        counters = RequestOutcome.allCases.map { outcome in
            let dimensions = [("outcome", outcome.rawValue)]
            return ReadableCounter(
                Counter(label: "spegel_registry_requests_total", dimensions: dimensions, factory: factory)
            )
        }
    }

    subscript(outcome: RequestOutcome) -> ReadableCounter {
        let index =
            switch outcome {
            case .local: 0
            case .mirrored: 1
            case .notFound: 2
            case .rejected: 3
            case .busy: 4
            case .cutShort: 5
            case .aborted: 6
            }
        return counters[index]
    }

    /// All answers so far.
    var total: Int { counters.reduce(0) { $0 &+ $1.value } }

    /// What was counted of each so far.
    var values: [RequestOutcome: Int] {
        Dictionary(uniqueKeysWithValues: RequestOutcome.allCases.map { ($0, self[$0].value) })
    }
}

/// The requests of clients that were rejected, by the reason.
struct RejectionCounters: Sendable {
    private let address: ReadableCounter
    private let proof: ReadableCounter
    private let expired: ReadableCounter
    private let credentials: ReadableCounter

    init(factory: any MetricsFactory) {
        func counter(_ reason: ClientRejection) -> ReadableCounter {
            let dimensions = [("reason", reason.rawValue)]
            return ReadableCounter(
                Counter(label: "spegel_registry_refused_total", dimensions: dimensions, factory: factory)
            )
        }
        address = counter(.address)
        proof = counter(.proof)
        expired = counter(.expired)
        credentials = counter(.credentials)
    }

    subscript(reason: ClientRejection) -> ReadableCounter {
        switch reason {
        case .address: address
        case .proof: proof
        case .expired: expired
        case .credentials: credentials
        }
    }

    /// What was counted of each so far.
    var values: [ClientRejection: Int] {
        Dictionary(uniqueKeysWithValues: ClientRejection.allCases.map { ($0, self[$0].value) })
    }
}

/// The requests that are being answered, by the part of the server.
struct InFlightGauges: Sendable {
    private let gauges: [ReadableGauge]

    init(factory: any MetricsFactory) {
        gauges = RequestHandler.allCases.map { handler in
            let dimensions = [("handler", handler.label)]
            return ReadableGauge(Meter(label: "http_requests_inflight", dimensions: dimensions, factory: factory))
        }
    }

    subscript(handler: RequestHandler) -> ReadableGauge { gauges[handler.rawValue] }

    /// All of them.
    var total: Int { gauges.reduce(0) { $0 + $1.value } }
}
