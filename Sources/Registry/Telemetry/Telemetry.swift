import CoreMetrics
import Logging
import Mirroring
import Multiformats
import NIOCore
import OCI
import Synchronization

/// Records what a registry does: the one place for its log lines, its metrics and its journal.
final class Telemetry: Sendable {
    let metrics: RegistryMetrics
    private let logger: Logger
    private let journal = Mutex(Journal())

    init(factory: any MetricsFactory, labels: RegistryLabels, logger: Logger) {
        metrics = RegistryMetrics(factory: factory, labels: labels)
        self.logger = logger
    }

    /// What came from other nodes and what could not, over time.
    var history: TransferHistory { journal.withLock { $0.history } }

    /// The recent failures, the newest first.
    var failures: [FailureLog.Entry] { journal.withLock { $0.failures } }

    /// Whether each mirrored request gets a log line.
    var logsRequests: Bool { logger.logLevel <= .info }

    /// Notes what has happened. For bytes as they come there is ``RegistrySeries`` alone.
    func record(_ event: TelemetryEvent) {
        switch event {
        case .listening(let address, let congestionControl):
            var details: Logger.Metadata = ["address": .string(address.hostHeader)]
            if let congestionControl { details["congestionControl"] = .string(congestionControl) }
            logger.info("registry listening", metadata: details)
        case .graceEnded(let count):
            logger.warning("closing connections in use", metadata: ["count": .stringConvertible(count)])
        case .acceptFailed: metrics.clients.acceptFailures.add()
        case .connectionsChanged(let change): metrics.clients.connections.change(by: change)
        case .clientRejected(let reason, let address): clientRejected(reason, address)
        case .clientStalled(let client, let key, let bytes):
            var details: Logger.Metadata = [
                "client": .string(client?.ip?.text ?? "unknown"), "bufferedBytes": .stringConvertible(bytes),
            ]
            if let key { details["key"] = .string(key) }
            logger.info("closing stalled connection", metadata: details)
        case .requestBegan(let handler): metrics.clients.inFlight[handler].change(by: 1)
        case .requestEnded(let record): requestEnded(record)
        case .openFailed(let digest, let error):
            let details: Logger.Metadata = ["digest": .string(digest.text), "error": "\(error)"]
            logger.warning("content open failed", metadata: details)
        case .readFailed(let key, let error):
            logger.warning("content read failed", metadata: ["key": .string(key), "error": "\(error)"])
        case .storeTimedOut(let key): logger.warning("content store timed out", metadata: ["key": .string(key)])
        case .fileTruncated(let key, let path):
            let details: Logger.Metadata = ["key": .string(key), "path": .string(path)]
            logger.error("content file truncated while served", metadata: details)
        case .peerWantsPassword(let address):
            logger.warning(
                "peer wants the password in clear: passed over; nodes of Spegel in Go need --basic-auth-to-peers plain",
                metadata: ["address": .string(address?.text ?? "unknown")]
            )
        case .mirrorBegan: metrics.peers.mirrors.wrappingAdd(1, ordering: .relaxed)
        case .mirrorEnded(let record): mirrorEnded(record)
        case .mirrorReported(let record): log(record)
        case .lookupEnded(let outcome, let nanoseconds):
            metrics.peers.countLookup(outcome, nanoseconds: nanoseconds)
        case .repeatedRequest(let key, let peers):
            let details: Logger.Metadata = ["key": .string(key), "peers": .array(peers.map { .string($0) })]
            logger.info("repeated request: verifying content from peers", metadata: details)
        case .digestMismatch(let digest, let key, let peerID, let address, let isCertain):
            digestMismatch(digest, key, peerID, address, isCertain)
        case .sourceReceived(let bytes, let registry):
            journal.withLock { $0.addSource(bytes, now: WallClock.now) }
            metrics.registry(label: registry).sourceReceivedBytes.increment(by: bytes)
        }
    }

    private func clientRejected(_ reason: ClientRejection, _ address: SocketAddress?) {
        metrics.clients.rejections[reason].add()
        let details: Logger.Metadata = ["address": .string(address?.ip?.text ?? "unknown")]
        switch reason {
        case .address: logger.warning("client rejected: address not allowed", metadata: details)
        case .proof: logger.warning("node rejected: no valid proof of the cluster key or password", metadata: details)
        case .expired:
            logger.warning("node rejected: proof expired, check the clocks of both machines", metadata: details)
        case .credentials: logger.warning("client rejected: credentials missing or wrong", metadata: details)
        }
    }

    private func requestEnded(_ record: RequestRecord) {
        metrics.clients.inFlight[record.handler].change(by: -1)
        if let outcome = record.outcome { metrics.clients.outcomes[outcome].add() }
        record.responses.record(nanoseconds: record.duration, bytes: record.bytes)
        guard let content = record.content else { return }
        if content.isLocal { metrics.clients.localBytes.wrappingAdd(Int(clamping: record.bytes), ordering: .relaxed) }
        if let series = content.series {
            (content.isFromPeer ? series.peerSentBytes : series.clientSentBytes).increment(by: record.bytes)
            if content.isFromPeer { journal.withLock { $0.addSent(record.bytes, now: WallClock.now) } }
        }
        guard content.isLocal, logger.logLevel <= .debug else { return }
        let details: Logger.Metadata = [
            "key": .string(content.key), "status": .stringConvertible(record.status),
            "bytes": .stringConvertible(record.bytes),
            "outcome": .string(record.outcome?.rawValue ?? ""),
        ]
        logger.debug("served from content store", metadata: details)
    }

    private func mirrorEnded(_ record: MirrorRecord) {
        if !record.isShared {
            metrics.peers.mirrors.wrappingSubtract(1, ordering: .relaxed)
            for failure in record.failures { metrics.countFailure(failure.reason) }
            if record.hedges > 0 { metrics.peers.hedges.add(record.hedges) }
        }
        let now = WallClock.now
        journal.withLock { journal in
            if !record.isShared { journal.addFailures(of: record, now: now) }
            guard let isHit = record.isHit else { return }
            journal.addMirrored(isHit: isHit, bytes: record.isShared ? 0 : record.sentBytes, now: now)
        }
        guard let isHit = record.isHit else { return }
        record.series.countMirrored(isHit: isHit, isExternal: record.request.isExternal)
        if isHit { metrics.peers.lastSuccess.record(now) }
    }

    private func log(_ record: MirrorRecord) {
        guard logsRequests else { return }
        let content = record.request.content
        var metadata = Logger.Metadata(minimumCapacity: 12)
        metadata["method"] = .string(record.request.isHead ? "HEAD" : "GET")
        metadata["registry"] = .string(content.registry?.text ?? "")
        metadata["repository"] = .string(content.repository.text)
        metadata["key"] = .string(record.request.key)
        metadata["bytes"] = .stringConvertible(record.sentBytes)
        metadata["duration"] = .string("\(record.duration / 1_000_000)ms")
        metadata["outcome"] = .string(record.ending.text)
        if let peer = record.peer {
            metadata["peer"] = .string(peer.peerID)
            metadata["address"] = .string(peer.address.text)
        }
        if record.isShared { metadata["shared"] = .stringConvertible(true) }
        if !record.failures.isEmpty {
            metadata["failures"] = .array(record.failures.map { "\($0.peerID) at \($0.address): \($0.text)" })
        }
        if record.isHit == false {
            logger.info("request not mirrored", metadata: metadata)
        } else {
            logger.info("mirrored request", metadata: metadata)
        }
    }

    private func digestMismatch(
        _ digest: Digest,
        _ key: String,
        _ peerID: String,
        _ address: PeerAddress?,
        _ isCertain: Bool
    ) {
        metrics.peers.digestMismatches.add()
        let details: Logger.Metadata = [
            "peer": .string(peerID), "address": .string(address?.text ?? "unknown"), "digest": .string(digest.text),
            "key": .string(key),
        ]
        if isCertain {
            logger.warning("digest mismatch: peer banned for this content", metadata: details)
        } else {
            logger.warning("digest mismatch suspected: peer must verify its copy", metadata: details)
        }
    }
}

extension TransferEnding {
    /// How the request ended, as the log has it.
    fileprivate var text: String {
        switch self {
        case .complete: "complete"
        case .cutShort: "cut short, every peer failed"
        case .notFound: "not found"
        case .unavailable: "every peer is busy"
        case .overloaded: "not looked for, too many lookups at a time"
        case .rangeNotSatisfiable: "range not satisfiable"
        case .clientGone: "the client went away"
        }
    }
}
