import OCI
import Routing

/// What is remembered of one mirrored request: from whom the client has got what, in case it asks again.
struct DeliveryMemory {
    private let request: ContentRequest
    private let services: RegistryServices
    /// Under what the delivery of large content is remembered.
    private let delivery: Deliveries.Key?
    /// The peers that the client has got this from before, whole, and wrong most likely.
    let suspects: [String]

    init(_ request: ContentRequest, digest: Digest?, clientAddress: String?, services: RegistryServices) {
        self.request = request
        self.services = services
        delivery =
            if request.content.kind == .blob, !request.isHead, let digest, let clientAddress {
                Deliveries.Key(client: clientAddress, digest: digest)
            } else {
                nil
            }
        suspects = delivery.map(services.suspects) ?? []
    }

    /// Remembers a request that has ended.
    ///
    /// - Returns: the peers that have turned out to have sent something wrong before, most likely.
    func remember(_ ending: MirrorEnding, of transfer: MirrorTransfer) -> [String] {
        if ending == .complete, request.range != nil, let peerID = transfer.lastPeerID,
            let address = transfer.lastAddress
        {
            services.noteRecent(Provider(peerID: peerID, addresses: [address]), of: request.key)
        }
        guard let delivery, let content = transfer.content else { return [] }
        if transfer.isHashed {
            let isRight = ending == .complete
            let isWrong = transfer.failures.last?.failure == .corrupt
            if isRight || isWrong {
                services.settleDelivery(delivery, right: isRight ? transfer.sources : [])
                // What the client has got before was not this, so it was wrong.
                return isRight ? suspects.filter { !transfer.sources.contains($0) } : []
            }
        }
        if transfer.isCheckedByPeer, ending == .complete {
            services.settleDelivery(delivery, right: Array(transfer.sources.suffix(1)))
        } else {
            let start = content.range.lowerBound
            let part = start..<(start + transfer.sentBytes)
            services.noteDelivery(delivery, part, size: content.size, from: transfer.sources)
        }
        return []
    }
}
