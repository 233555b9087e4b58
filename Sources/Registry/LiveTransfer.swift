import NIOCore
import OCI

/// An answer with content that is under way, as it was at one moment; for people.
public struct LiveTransfer: Hashable, Sendable {
    /// From where to where.
    public enum Direction: String, Sendable {
        /// From another node to a client of this one.
        case received
        /// From this node's store to a client of its own.
        case served
        /// From this node's store to another node.
        case sent
    }

    /// The same for as long as the transfer lasts.
    public var id: String
    /// What is asked for.
    public var content: DistributionRequest
    /// The digest or full tag name.
    public var key: String
    /// From where to where.
    public var direction: Direction
    /// The registry of the node that it comes from; `nil` when that is this one, or nobody was found yet.
    public var source: String?
    /// Who gets it.
    public var client: String?
    /// The bytes of the body that have left.
    public var bytes: Int64
    /// The bytes of the body in all; `nil` before the answer has begun.
    public var size: Int64?
    /// How long it has taken so far.
    public var duration: Duration
}

extension RegistryServer {
    /// What is under way, the oldest first. Nothing is kept for this: the connections are asked, each on its event loop.
    ///
    /// - Parameter limit: the most that are told of.
    /// - Returns: these, and how many there are.
    public func liveTransfers(limit: Int) async -> (transfers: [LiveTransfer], count: Int) {
        let byLoop = Dictionary(grouping: openChannels) { ObjectIdentifier($0.eventLoop) }
        let futures = byLoop.values.compactMap { channels in
            channels.first?.eventLoop.submit {
                channels.compactMap { channel in
                    let handler = try? channel.pipeline.syncOperations.handler(type: RegistryConnection.self)
                    return handler?.liveTransfer
                }
            }
        }
        var all: [LiveTransfer] = []
        for future in futures { all += (try? await future.get()) ?? [] }
        all.sort { ($1.duration, $0.id) < ($0.duration, $1.id) }
        return (Array(all.prefix(max(0, limit))), all.count)
    }
}

extension RegistryConnection {
    /// The answer that is under way, if it is one with content.
    var liveTransfer: LiveTransfer? {
        guard let context, let exchange, let request = exchange.content, !exchange.isHead else { return nil }
        let buffered = Int64((try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0)
        let isReceived = exchange.mirror != nil || exchange.following != nil || exchange.outcome == .mirrored
        return LiveTransfer(
            id: String(UInt(bitPattern: ObjectIdentifier(self).hashValue), radix: 36) + "-\(exchange.id)",
            content: request.content,
            key: request.key,
            direction: isReceived ? .received : request.isFromPeer ? .sent : .served,
            source: isReceived ? (exchange.mirror?.source ?? exchange.source)?.hostHeader : nil,
            client: context.remoteAddress?.hostHeader,
            bytes: max(0, exchange.enqueuedBytes + (exchange.mirror?.splicedBytes ?? 0) - buffered),
            size: exchange.bodySize,
            duration: .nanoseconds((NIODeadline.now() - exchange.started).nanoseconds)
        )
    }
}
