import ContentStore
import Mirroring
import NIOCore
import OCI
import Routing
import Splicing
import Time

/// The events of the connections to peers.
extension MirrorSession: PeerConnectionUser {
    func peerConnected(_ attempt: AttemptID) {
        input {
            $0.connected(attempt, reused: false, now: $1)
            return []
        }
    }

    func peerSentHead(_ response: PeerResponse, _ attempt: AttemptID) {
        if let peerID = requests.peerID(of: attempt) {
            services.peers.record(.answered, of: peerID)
            if response.status == 200 || response.status == 206 {
                services.configuration.peerZones.note(text: response.zone, of: peerID)
            }
        }
        var response = response
        if let proofs = services.proofs, !services.configuration.sendsPassword {
            // A tag has no digest that could be compared.
            if case .tag = request.content.target { response.isProven = requests.isProven(response, of: attempt) }
            if response.status == 401, proofs.takeWarning() {
                services.telemetry.record(.peerWantsPassword(requests.address(of: attempt)))
            }
        }
        input { $0.received(response, of: attempt, now: $1) }
    }

    func peerSentBody(_ bytes: ByteBuffer, _ attempt: AttemptID) {
        guard client != nil else { return }
        let decision = transfer.received(bytes: bytes.readableBytes, of: attempt, now: .now)
        report.receives(from: requests.peerID(of: attempt), attempt)
        if !decision.actions.isEmpty { perform(decision.actions) }
        switch decision.use {
        case .drop: break
        case .forward(let head, let dropFirst):
            if let head { begin(head) }
            forward(bytes, dropFirst: dropFirst)
        case .hold(let content, let dropFirst):
            if !held.isActive, !held.hold(content) {
                if let head = transfer.cannotHold(content) { begin(head) }
            }
            forward(bytes, dropFirst: dropFirst)
        }
    }

    func peerSentEnd(_ attempt: AttemptID) {
        input { $0.ended(attempt, now: $1) }
    }

    func peerPaused(_ attempt: AttemptID) {
        let canMove = services.permits.rate == nil && services.splicer.isAble
        input { $0.readable(attempt, canMove: canMove, now: $1) }
    }

    func peerSpliced(_ result: SpliceResult, _ attempt: AttemptID) {
        guard client != nil else { return }
        client?.mirrorSent(bytes: result.delivered)
        let canHash = result.hasher.map { held.hasher = $0 } != nil
        let end = MoveEnd(result.end)
        let isSlow = end == .stalled && isSlow(attempt)
        input { $0.moved(attempt, bytes: result.delivered, end: end, canHash: canHash, isSlow: isSlow, now: $1) }
    }

    func peerFailed(_ failure: AttemptFailure, _ attempt: AttemptID) {
        let isSlow = failure.isTimeout && isSlow(attempt)
        input { $0.failed(attempt, failure, isSlow: isSlow, now: $1) }
    }

    private func isSlow(_ attempt: AttemptID) -> Bool {
        transfer.peerID(of: attempt).map(services.peers.isSlow) ?? false
    }
}

extension MoveEnd {
    init(_ end: SpliceProgress.End) {
        self =
            switch end {
            case .complete: .complete
            case .digestMismatch: .corrupt
            case .sourceClosed: .sourceFailed("in the middle of the body")
            case .sourceFailed(let number): .sourceFailed(systemErrorText(number))
            case .stalled: .stalled
            case .destinationFailed: .clientFailed
            case .hashFailed, .stopped: .stopped
            }
    }
}
