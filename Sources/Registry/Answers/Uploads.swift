import Mirroring
import Multiformats
import NIOCore
import OCI

/// The bodies that this node sends to other nodes: how many at a time, and how fast.
final class Uploads: Sendable {
    /// What becomes of a body that is to be sent to another node.
    enum Admission {
        case admitted(UploadPermit)
        /// It is queued until the callback comes.
        case queued(UploadPermit)
        /// The queue is full.
        case refused
    }

    /// How long a body may be queued.
    let timeout: TimeAmount
    /// Bodies up to this size need no permit, and leave at once where there is a rate limit.
    let smallBody: Int64
    private let gate: TransferGate<IPAddress>
    private let rate: RateLimiter?

    init(_ configuration: RegistryConfiguration) {
        timeout = TimeAmount(configuration.transfers.uploadTimeout)
        smallBody = configuration.transfers.smallBody
        rate = configuration.transfers.uploadRate.map {
            RateLimiter(bytesPerSecond: $0, maximumTransfers: configuration.transfers.maximumUploads)
        }
        gate = TransferGate(
            limits: .init(
                inAll: rate?.transfers ?? configuration.transfers.maximumUploads,
                perPeer: configuration.transfers.maximumUploadsPerPeer,
                waiting: configuration.transfers.maximumQueued
            )
        )
    }

    /// How many run and wait, and how many were refused since the start.
    var counts: (running: Int, waiting: Int, refused: Int) { gate.counts }

    /// Whether the body of an answer needs a permit.
    ///
    /// - Parameter size: of the whole content.
    func needsPermit(_ request: ContentRequest, size: Int64) -> Bool {
        guard request.isFromPeer, !request.isHead else { return false }
        guard let range = request.range else { return size > smallBody }
        return range.resolved(size: size).map { $0.upperBound - $0.lowerBound > smallBody } ?? false
    }

    /// Asks for a permit.
    ///
    /// - Parameter admitted: called from any thread when a queued body may go, unless its permit was released before.
    func enter(_ peer: IPAddress, admitted: @escaping @Sendable () -> Void) -> Admission {
        switch gate.enter(peer, admitted: { _ in admitted() }) {
        case .runs(let ticket): .admitted(UploadPermit(gate, ticket))
        case .waits(let ticket): .queued(UploadPermit(gate, ticket))
        case .refused: .refused
        }
    }

    /// A body was queued for too long.
    func countTimeout() { gate.countRefusal() }

    // MARK: The rate

    /// How many bytes of a body may go at a time; `nil` where there is no limit for it.
    func chunkSize(_ request: ContentRequest, length: Int64) -> Int? {
        guard request.isFromPeer, let rate else { return nil }
        guard length > smallBody else {
            // It waits for no others, but others wait for it.
            _ = rate.grant(Int(length), now: .now())
            return nil
        }
        return rate.chunk
    }

    /// Calls a function when bytes may go, at once where they may now.
    func whenGranted(_ count: Int, on eventLoop: any EventLoop, _ go: @escaping () -> Void) {
        let now = NIODeadline.now()
        guard let moment = rate?.grant(count, now: now), moment > now else { return go() }
        eventLoop.assumeIsolated().scheduleTask(deadline: moment, go)
    }
}

/// A place among the uploads, or in the queue for one, for as long as the permit lives.
final class UploadPermit: Sendable {
    private let gate: TransferGate<IPAddress>
    private let ticket: TransferGate<IPAddress>.Ticket

    fileprivate init(_ gate: TransferGate<IPAddress>, _ ticket: TransferGate<IPAddress>.Ticket) {
        self.gate = gate
        self.ticket = ticket
    }

    deinit { gate.leave(ticket) }
}
