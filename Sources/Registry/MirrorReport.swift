import CoreMetrics
import Logging
import NIOCore
import OCI

/// What is counted, journalled and logged of one mirrored request.
struct MirrorReport {
    private let request: ContentRequest
    private let services: RegistryServices
    private let registryLabel: String
    private let counters: RegistryCounters.PerRegistry
    private let started: NIODeadline
    private var lookupStart = NIODeadline.now()
    private var lookupIsCounted = false
    /// Where the bytes of an attempt are counted by the zone of its peer.
    private var zone: (attempt: MirrorTransfer.AttemptID, counter: Counter)?

    init(_ request: ContentRequest, services: RegistryServices, started: NIODeadline) {
        self.request = request
        self.services = services
        self.started = started
        registryLabel = services.counters.labels.label(request.content.registry)
        counters = services.counters.registry(registryLabel)
    }

    /// Counts bytes as they come from a peer; on whichever thread.
    var countBytes: @Sendable (Int) -> Void {
        { [services, counters, zone] count in
            services.metrics.addRelayedBytes(count)
            counters.peerReceivedBytes.increment(by: count)
            zone?.counter.increment(by: count)
        }
    }

    /// Counts bytes that have come from a peer.
    func count(bytes: Int) {
        services.metrics.addRelayedBytes(bytes)
        counters.peerReceivedBytes.increment(by: bytes)
        zone?.counter.increment(by: bytes)
    }

    /// Has bytes that come from now on counted as those of an attempt's peer.
    mutating func receives(from peerID: String?, _ attempt: MirrorTransfer.AttemptID) {
        guard zone?.attempt != attempt else { return }
        zone = (attempt, services.zoneCounter(of: peerID))
    }

    mutating func lookupStarted() {
        lookupStart = .now()
    }

    /// Only the first provider counts: whoever waits, waits for that one.
    mutating func countLookup(_ outcome: RegistryCounters.Lookup) {
        guard !lookupIsCounted else { return }
        lookupIsCounted = true
        services.counters.countLookup(outcome, nanoseconds: (NIODeadline.now() - lookupStart).nanoseconds)
    }

    /// Counts a request that has ended.
    func count(_ ending: MirrorEnding, of transfer: MirrorTransfer) {
        for failed in transfer.failures { services.counters.countFailure(failed.failure) }
        services.journal.addFailures(transfer.failures, isCutShort: ending == .cutShort, of: request)
        countMiss(ending, of: transfer)
        countHit(ending, of: transfer, receivedBytes: transfer.sentBytes)
    }

    /// Counts a request that was answered by way of another one for the same, so that no bytes came for it.
    func countShared(_ ending: MirrorEnding, of transfer: MirrorTransfer) {
        countHit(ending, of: transfer, receivedBytes: 0)
    }

    private func countHit(_ ending: MirrorEnding, of transfer: MirrorTransfer, receivedBytes: Int64) {
        let isHit: Bool
        switch ending {
        case .complete: isHit = true
        case .cutShort, .notFound, .unavailable, .overloaded, .rangeNotSatisfiable: isHit = false
        case .clientGone:
            // Who leaves before there is an answer says nothing of whether there would have been one.
            guard transfer.content != nil else { return }
            isHit = true
        }
        let now = RegistryJournal.now
        services.journal.addMirrored(isHit: isHit, bytes: receivedBytes, now: now)
        services.counters.countMirrored(
            registry: registryLabel,
            isHit: isHit,
            isExternal: request.isExternal,
            now: now
        )
    }

    /// Tells apart what the client now gets from the source registry.
    private func countMiss(_ ending: MirrorEnding, of transfer: MirrorTransfer) {
        guard let digest = transfer.request.digest else { return }
        switch ending {
        case .notFound, .unavailable, .overloaded:
            let start: Int64
            switch request.range {
            case .from(let first), .closed(let first, _): start = max(0, first)
            case .suffix, nil: start = 0
            }
            services.noteMissed(digest, from: start, registry: registryLabel)
        case .complete:
            guard !request.isHead, let range = transfer.content?.range, let size = transfer.content?.size,
                range.upperBound == size
            else { return }
            services.noteDelivered(digest, from: range.lowerBound)
        // The client asks again, or the source, for the rest; or has gone.
        case .cutShort, .rangeNotSatisfiable, .clientGone: return
        }
    }

    /// Logs it.
    func log(_ ending: MirrorEnding, of transfer: MirrorTransfer, isShared: Bool = false) {
        let logger = services.logger
        guard logger.logLevel <= .info else { return }
        let outcome =
            switch ending {
            case .complete: "complete"
            case .cutShort: "cut short, every peer failed"
            case .notFound: "not found"
            case .unavailable: "every peer is busy"
            case .overloaded: "not looked for, too many lookups at a time"
            case .rangeNotSatisfiable: "range not satisfiable"
            case .clientGone: "the client went away"
            }
        var metadata: Logger.Metadata = [
            "registry": "\(request.content.registry?.text ?? "")",
            "repository": "\(request.content.repository)",
            "key": "\(request.key)",
            "bytes": .stringConvertible(transfer.sentBytes),
            "duration": "\((NIODeadline.now() - started).nanoseconds / 1_000_000)ms",
            "outcome": "\(outcome)",
        ]
        if let peer = transfer.lastPeerID, let address = transfer.lastAddress {
            metadata["peer"] = "\(peer)"
            metadata["address"] = "\(address.hostHeader)"
        }
        if isShared { metadata["shared"] = "true" }
        if !transfer.failures.isEmpty {
            metadata["failures"] = .array(
                transfer.failures.map { "\($0.peerID) at \($0.address.hostHeader): \($0.failure)" }
            )
        }
        logger.info("mirrored request", metadata: metadata)
    }
}
