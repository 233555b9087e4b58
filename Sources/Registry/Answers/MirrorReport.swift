import ContentStore
import CoreMetrics
import Mirroring
import NIOCore
import OCI

/// What is measured of one mirrored request: counts its bytes as they come, and tells ``Telemetry`` of its end.
struct MirrorReport {
    private let request: ContentRequest
    private let services: RegistryServices
    private let series: RegistrySeries
    private let started: NIODeadline
    private var lookupStart = NIODeadline.now()
    private var lookupIsCounted = false
    /// Where the bytes of an attempt are counted by the zone of its peer.
    private var zone: (attempt: AttemptID, counter: Counter)?

    init(_ request: ContentRequest, services: RegistryServices, loop: RegistryLoop, started: NIODeadline) {
        self.request = request
        self.services = services
        self.started = started
        series = loop.telemetry.registry(request.content.registry)
    }

    // MARK: Bytes

    /// Counts bytes as they come from a peer, on any thread.
    var countBytes: @Sendable (Int) -> Void {
        { [series, zone] count in
            series.peerReceivedBytes.add(count)
            zone?.counter.increment(by: count)
        }
    }

    /// Counts bytes that have come from a peer.
    func count(bytes: Int) {
        series.peerReceivedBytes.add(bytes)
        zone?.counter.increment(by: bytes)
    }

    /// Bytes that come from now on are of an attempt's peer.
    mutating func receives(from peerID: String?, _ attempt: AttemptID) {
        guard zone?.attempt != attempt else { return }
        zone = (attempt, services.zoneCounter(of: peerID))
    }

    // MARK: The lookup

    mutating func lookupStarted() {
        lookupStart = .now()
    }

    /// Only the first provider counts: that is the one that the client waits for.
    mutating func countLookup(_ outcome: LookupOutcome) {
        guard !lookupIsCounted else { return }
        lookupIsCounted = true
        services.telemetry.record(
            .lookupEnded(outcome, nanoseconds: (NIODeadline.now() - lookupStart).nanoseconds)
        )
    }

    // MARK: The end

    /// Counts a request that has ended.
    ///
    /// - Parameter isShared: whether it was answered by way of another one for the same.
    /// - Returns: the record of the request, for the log.
    func count(_ ending: TransferEnding, of transfer: Transfer, isShared: Bool = false) -> MirrorRecord {
        if !isShared { countMiss(ending, of: transfer) }
        let record = record(ending, of: transfer, isShared: isShared)
        services.telemetry.record(.mirrorEnded(record))
        return record
    }

    /// Logs a request that has ended, with the time until now.
    func log(_ record: MirrorRecord) {
        guard services.telemetry.logsRequests else { return }
        var record = record
        record.duration = (NIODeadline.now() - started).nanoseconds
        services.telemetry.record(.mirrorReported(record))
    }

    private func record(_ ending: TransferEnding, of transfer: Transfer, isShared: Bool) -> MirrorRecord {
        let isHit: Bool? =
            switch ending {
            case .complete: true
            case .cutShort, .notFound, .unavailable, .overloaded, .rangeNotSatisfiable: false
            // A client that leaves before there is an answer says nothing of whether there would have been one.
            case .clientGone: transfer.delivery.content == nil ? nil : true
            }
        var peer: MirrorRecord.Peer?
        if let last = transfer.lastPeer { peer = MirrorRecord.Peer(peerID: last.id, address: last.address) }
        return MirrorRecord(
            request: request,
            ending: ending,
            isHit: isHit,
            sentBytes: transfer.delivery.takenBytes,
            isShared: isShared,
            duration: (NIODeadline.now() - started).nanoseconds,
            peer: peer,
            failures: transfer.failures.map { failed in
                MirrorRecord.Failure(
                    peerID: failed.peerID,
                    address: failed.address.text,
                    reason: failed.failure.label,
                    text: failed.failure.description
                )
            },
            hedges: transfer.hedges,
            series: series
        )
    }

    /// Tells apart what the client now gets from the source registry.
    private func countMiss(_ ending: TransferEnding, of transfer: Transfer) {
        guard let digest = transfer.request.digest else { return }
        switch ending {
        case .notFound, .unavailable, .overloaded:
            let start: Int64
            switch request.range {
            case .from(let first), .closed(let first, _): start = max(0, first)
            case .suffix, nil: start = 0
            }
            // If the content came meanwhile, the client asked before it had, and its bytes are counted.
            guard services.content.index.entry(digest) == nil else { return }
            services.contents.record(.missed(digest, from: start, registry: series.label))
        case .complete:
            guard !request.isHead, let content = transfer.delivery.content, content.range.upperBound == content.size
            else { return }
            services.contents.record(.delivered(digest, from: content.range.lowerBound))
        // The client asks again, or the source, for the rest; or has left.
        case .cutShort, .rangeNotSatisfiable, .clientGone: return
        }
    }
}

extension AttemptFailure {
    /// The failure without its details, of which there are few.
    var label: String {
        switch self {
        case .cannotConnect: "connect_failed"
        case .connectTimeout: "connect_timeout"
        case .closed: "closed"
        case .malformed: "malformed"
        case .headTimeout: "head_timeout"
        case .progressTimeout: "stalled"
        case .tooLong: "wrong_length"
        case .corrupt: "corrupt"
        case .busy: "busy"
        case .slow: "slow"
        case .refused(let refusal):
            switch refusal {
            case .notFound: "not_found"
            case .status: "status"
            case .wrongDigest: "wrong_digest"
            case .wrongLength, .empty, .missingLength, .tooLarge: "wrong_length"
            case .wrongRange, .rangeIgnored: "wrong_range"
            case .missingMediaType, .wrongMediaType, .encoded: "malformed"
            case .unchecked: "unchecked"
            case .unproven: "unproven"
            }
        }
    }
}
