import ContentStore
import NIOCore
import Splicing

/// How the bytes of a body come to flow: as fast as the client takes them and the rate limit allows, and past the event
/// loop where the kernel can move them.
extension MirrorSession {
    struct Flow {
        /// The attempt that is to read on once the client takes bytes again.
        var heldAttempt: MirrorTransfer.AttemptID?
        /// The bytes that were read since the rate limit was asked, and whether it holds the peer back.
        var unpacedBytes = 0
        var isPaced = false
        /// Whether the kernel may be asked to move bodies; it is not asked again once it could not.
        var maySplice = true
        /// Whether the client has gone and only the kernel's count is waited for.
        var clientHasGone = false
        /// The attempt at whose body the kernel is to take over as soon as all that was read has left. Nothing is read of
        /// it meanwhile.
        var flushedFor: MirrorTransfer.AttemptID?
        /// How often that was waited for. Only the last time counts: what was written after it stands behind.
        var flushes = 0
    }

    func peerPaused(_ attempt: MirrorTransfer.AttemptID) {
        guard let client else { return }
        // Of whoever has sent no byte of the body yet only the one that sends first is held back.
        guard transfer.isChosen(attempt) else {
            peers[attempt]?.read()
            return
        }
        if flow.flushedFor != nil
            || (flow.maySplice && services.downloadRate == nil && services.splicer.isAble
                && transfer.spliceable(attempt) != nil)
        {
            return spliceOnceFlushed(attempt, client)
        }
        client.mirrorFlushes()
        // To flush may have ended the transfer.
        guard let peer = peers[attempt] else { return }
        guard !flow.isPaced else {
            flow.heldAttempt = attempt
            return
        }
        if pace(attempt) { return }
        if client.takesBytes {
            timer.deadline = transfer.deadline
            peer.read()
        } else {
            transfer.clientTakesBytes(false, now: .now())
            timer.deadline = transfer.deadline
            flow.heldAttempt = attempt
        }
    }

    /// Holds a peer back for as long as the rate limit says.
    ///
    /// - Returns: whether it does.
    private func pace(_ attempt: MirrorTransfer.AttemptID) -> Bool {
        guard let rate = services.downloadRate, flow.unpacedBytes > 0 else { return false }
        let now = NIODeadline.now()
        let moment = rate.grant(flow.unpacedBytes, now: now)
        flow.unpacedBytes = 0
        guard moment > now else { return false }
        // Nobody is to blame for the wait.
        transfer.clientTakesBytes(false, now: now)
        timer.deadline = transfer.deadline
        flow.isPaced = true
        flow.heldAttempt = attempt
        eventLoop.assumeIsolated().scheduleTask(deadline: moment) { [weak self] in
            guard let self, let client = self.client else { return }
            flow.isPaced = false
            if client.takesBytes { clientTakesBytes(true) }
        }
        return true
    }

    // MARK: Past the event loop

    /// How many bytes of the body have gone to the client past its channel and were not told by
    /// ``MirrorClient/mirrorSent(bytes:)`` yet.
    var splicedBytes: Int64 {
        peers.values.reduce(0) { $0 + $1.splicedBytes }
    }

    /// Has the kernel move the rest of the body, as soon as all that was read of it has left.
    private func spliceOnceFlushed(_ attempt: MirrorTransfer.AttemptID, _ client: any MirrorClient) {
        flow.flushedFor = attempt
        flow.flushes += 1
        let flush = flow.flushes
        // More is to come, of which the last bytes are held back.
        if transfer.spliceable(attempt) != nil, let chunk = held.takeLastChunk() { client.mirrorSends(body: chunk) }
        transfer.clientTakesBytes(false, now: .now())
        timer.deadline = transfer.deadline
        client.mirrorFlushes { [weak self] in
            if self?.flow.flushes == flush { self?.splice() }
        }
    }

    private func splice() {
        guard let client, let attempt = flow.flushedFor else { return }
        flow.flushedFor = nil
        transfer.clientTakesBytes(true, now: .now())
        guard let peer = peers[attempt] else {
            timer.deadline = transfer.deadline
            return
        }
        let verification = spliceVerification
        if let count = transfer.spliceable(attempt), verification != nil || !transfer.isHashed {
            if let socket = client.socket,
                peer.splice(
                    count,
                    to: socket,
                    by: services.splicer,
                    verification: verification,
                    onBytes: report.countBytes
                )
            {
                transfer.spliceBegan(attempt)
            } else {
                flow.maySplice = false
                peer.read()
            }
        } else {
            peer.read()
        }
        timer.deadline = transfer.deadline
    }

    /// The verification that the kernel's move needs.
    private var spliceVerification: DigestVerification? {
        guard transfer.isHashed, let hasher = held.hasher, let digest = transfer.content?.digest else { return nil }
        return DigestVerification(hasher: hasher, expected: digest)
    }

    func peerSpliced(_ result: SpliceResult, _ attempt: MirrorTransfer.AttemptID) {
        transfer.spliced(bytes: result.delivered, of: attempt)
        client?.mirrorSent(bytes: result.delivered)
        guard !flow.clientHasGone || result.end == .complete else { return clientClosed() }
        let now = NIODeadline.now()
        if transfer.isHashed {
            switch result.end {
            case .complete, .digestMismatch, .destinationFailed: break
            default:
                guard let hasher = result.hasher else { return perform(transfer.cannotCheck()) }
                held.hasher = hasher
            }
        }
        switch result.end {
        case .complete: perform(transfer.ended(attempt, now: now))
        case .digestMismatch: perform(transfer.checked(attempt, matches: false, now: now))
        case .sourceClosed: perform(transfer.failed(attempt, .closed("in the middle of the answer"), now: now))
        case .sourceFailed(let number): perform(transfer.failed(attempt, .closed(systemErrorText(number)), now: now))
        case .stalled: peerFailed(.progressTimeout, attempt)
        case .hashFailed, .stopped: perform(transfer.failed(attempt, .closed("called off"), now: now))
        case .destinationFailed: client?.mirrorLostClient()
        }
    }

    /// The client has gone while the kernel was sending to it, which ends at once; the client hears of the end.
    ///
    /// - Returns: whether the kernel was sending.
    func clientClosedWhileSpliced() -> Bool {
        guard let peer = peers.values.first(where: \.isSplicing) else { return false }
        flow.clientHasGone = true
        peer.stopSplicing()
        return true
    }

    /// The client takes bytes again or does so no more.
    func clientTakesBytes(_ takes: Bool) {
        guard !flow.isPaced, flow.flushedFor == nil else { return }
        transfer.clientTakesBytes(takes, now: .now())
        timer.deadline = transfer.deadline
        guard takes, let held = flow.heldAttempt else { return }
        flow.heldAttempt = nil
        peers[held]?.read()
    }
}
