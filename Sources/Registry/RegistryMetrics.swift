import Synchronization

/// What a ``RegistryServer`` has done and is doing, counted without locks.
public final class RegistryMetrics: Sendable {
    /// How the answer to a request for content ended.
    public enum Outcome: String, Sendable, CaseIterable {
        /// Served from the node's own store.
        case local
        /// Relayed from a peer, whole.
        case mirrored
        /// Nobody had it: 404.
        case notFound = "not_found"
        /// The request itself was wrong: another 4xx.
        case rejected
        /// This node, or every peer, was too busy: 503.
        case busy
        /// Every peer failed in the middle of the body.
        case cutShort = "cut_short"
        /// The client went away before the end.
        case aborted
    }

    /// Why a client was turned away.
    public enum Refusal: String, Sendable, CaseIterable {
        /// Its address is not allowed: 403.
        case address
        /// It has no credentials, or wrong ones: 401.
        case credentials
    }

    /// The transfers of a direction that have a place, or wait for one.
    public struct Transfers: Hashable, Sendable {
        /// Those that run.
        public var running = 0
        /// Those that wait for their turn.
        public var waiting = 0
        /// Those that waited too long, or found no place to wait, since the start.
        public var refused = 0
    }

    /// All numbers at one moment, read one after the other.
    public struct Snapshot: Hashable, Sendable {
        /// Answers since the start, by how they ended.
        public var outcomes: [Outcome: Int] = [:]
        /// Bytes of content sent from the node's own store since the start.
        public var localBytes = 0
        /// Bytes of content relayed from peers since the start.
        public var relayedBytes = 0
        /// Attempts at peers that failed since the start.
        public var failedAttempts = 0
        /// Second peers that were asked beside a slow one since the start.
        public var hedges = 0
        /// Answers of peers that were not what their digest says, since the start.
        public var corruptAnswers = 0
        /// Requests of clients that were turned away since the start.
        public var refusals: [Refusal: Int] = [:]
        /// How often a connection could not be accepted, for lack of descriptors or memory, since the start.
        public var acceptFailures = 0
        /// The bodies that are sent to other nodes.
        public var uploads = Transfers()
        /// The blobs that are fetched from other nodes.
        public var downloads = Transfers()
        /// Client connections that are open.
        public var openConnections = 0
        /// Connections to peers that are open, idle ones included.
        public var peerConnections = 0
        /// Requests that are being answered.
        public var requestsInFlight = 0
        /// Transfers from peers that are under way.
        public var mirrorsInFlight = 0
    }

    private let local = Atomic(0)
    private let mirrored = Atomic(0)
    private let notFound = Atomic(0)
    private let rejected = Atomic(0)
    private let busy = Atomic(0)
    private let cutShort = Atomic(0)
    private let aborted = Atomic(0)
    private let localBytes = Atomic(0)
    private let relayedBytes = Atomic(0)
    private let failedAttempts = Atomic(0)
    private let hedges = Atomic(0)
    private let corruptAnswers = Atomic(0)
    private let refusedAddresses = Atomic(0)
    private let refusedCredentials = Atomic(0)
    private let acceptFailures = Atomic(0)
    private let openConnections = Atomic(0)
    private let peerConnections = Atomic(0)
    private let requestsInFlight = Atomic(0)
    private let mirrorsInFlight = Atomic(0)

    init() {}

    /// All numbers now.
    public var snapshot: Snapshot {
        Snapshot(
            outcomes: [
                .local: local.load(ordering: .relaxed),
                .mirrored: mirrored.load(ordering: .relaxed),
                .notFound: notFound.load(ordering: .relaxed),
                .rejected: rejected.load(ordering: .relaxed),
                .busy: busy.load(ordering: .relaxed),
                .cutShort: cutShort.load(ordering: .relaxed),
                .aborted: aborted.load(ordering: .relaxed),
            ],
            localBytes: localBytes.load(ordering: .relaxed),
            relayedBytes: relayedBytes.load(ordering: .relaxed),
            failedAttempts: failedAttempts.load(ordering: .relaxed),
            hedges: hedges.load(ordering: .relaxed),
            corruptAnswers: corruptAnswers.load(ordering: .relaxed),
            refusals: [
                .address: refusedAddresses.load(ordering: .relaxed),
                .credentials: refusedCredentials.load(ordering: .relaxed),
            ],
            acceptFailures: acceptFailures.load(ordering: .relaxed),
            openConnections: openConnections.load(ordering: .relaxed),
            peerConnections: peerConnections.load(ordering: .relaxed),
            requestsInFlight: requestsInFlight.load(ordering: .relaxed),
            mirrorsInFlight: mirrorsInFlight.load(ordering: .relaxed)
        )
    }

    func count(_ outcome: Outcome) {
        switch outcome {
        case .local: local.wrappingAdd(1, ordering: .relaxed)
        case .mirrored: mirrored.wrappingAdd(1, ordering: .relaxed)
        case .notFound: notFound.wrappingAdd(1, ordering: .relaxed)
        case .rejected: rejected.wrappingAdd(1, ordering: .relaxed)
        case .busy: busy.wrappingAdd(1, ordering: .relaxed)
        case .cutShort: cutShort.wrappingAdd(1, ordering: .relaxed)
        case .aborted: aborted.wrappingAdd(1, ordering: .relaxed)
        }
    }

    func addRefusal(_ refusal: Refusal) {
        switch refusal {
        case .address: refusedAddresses.wrappingAdd(1, ordering: .relaxed)
        case .credentials: refusedCredentials.wrappingAdd(1, ordering: .relaxed)
        }
    }

    func addAcceptFailure() { acceptFailures.wrappingAdd(1, ordering: .relaxed) }
    func addLocalBytes(_ count: Int) { localBytes.wrappingAdd(count, ordering: .relaxed) }
    func addRelayedBytes(_ count: Int) { relayedBytes.wrappingAdd(count, ordering: .relaxed) }
    /// Transfers from peers that are under way now.
    var currentMirrors: Int { mirrorsInFlight.load(ordering: .relaxed) }

    func addHedges(_ count: Int) { hedges.wrappingAdd(count, ordering: .relaxed) }
    func addCorruptAnswer() { corruptAnswers.wrappingAdd(1, ordering: .relaxed) }
    func addFailedAttempts(_ count: Int) { failedAttempts.wrappingAdd(count, ordering: .relaxed) }
    func changeOpenConnections(by change: Int) { openConnections.wrappingAdd(change, ordering: .relaxed) }
    func changePeerConnections(by change: Int) { peerConnections.wrappingAdd(change, ordering: .relaxed) }
    func changeRequestsInFlight(by change: Int) { requestsInFlight.wrappingAdd(change, ordering: .relaxed) }
    func changeMirrorsInFlight(by change: Int) { mirrorsInFlight.wrappingAdd(change, ordering: .relaxed) }
}
