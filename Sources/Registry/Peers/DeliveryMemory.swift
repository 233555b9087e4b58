import Mirroring
import OCI

/// The delivery of large content to a client, which may ask for it again: containerd does if the digest did not match.
struct DeliveryMemory {
    /// `nil` for what is not remembered: manifests, heads, tags.
    private let delivery: DeliveryKey?
    private let contents: ContentDirectory
    /// The peers from which the client got all of the content before; some of it may have been wrong.
    let suspects: [String]

    init(_ request: ContentRequest, clientAddress: @autoclosure () -> String?, contents: ContentDirectory) {
        self.contents = contents
        if request.content.kind == .blob, !request.isHead, let clientAddress = clientAddress(),
            case .digest(let digest) = request.content.target
        {
            let delivery = DeliveryKey(client: clientAddress, digest: digest)
            self.delivery = delivery
            suspects = contents.suspects(of: delivery)
        } else {
            delivery = nil
            suspects = []
        }
    }

    /// Remembers a transfer that ended.
    ///
    /// - Returns: the peers that are doubted from now on.
    func remember(_ ending: TransferEnding, of transfer: Transfer) -> [String] {
        guard let delivery, let outcome = Self.outcome(ending, of: transfer) else { return [] }
        return contents.record(outcome, of: delivery, suspects: suspects)
    }

    private static func outcome(_ ending: TransferEnding, of transfer: Transfer) -> DeliveryOutcome? {
        let body = transfer.delivery
        guard let content = body.content else { return nil }
        if body.isHashed {
            if ending == .complete { return .matched(sources: body.sources) }
            if transfer.failures.last?.failure == .corrupt { return .mismatched }
        }
        if transfer.isVerifiedByPeer, ending == .complete, let last = body.sources.last { return .checkedByPeer(last) }
        let start = content.range.lowerBound
        return .unchecked(part: start..<(start + body.takenBytes), size: content.size, sources: body.sources)
    }
}
