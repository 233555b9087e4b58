import NIOCore
import Synchronization

/// Closes the connections that have waited for their clients for the longest time, while too many are open.
///
/// Nothing is kept for this and no request pays for it: a sweep asks the connections, each on its event loop. Sweeps
/// follow each other at an interval, as long as too many connections are open.
package final class IdleSweep: Sendable {
    /// The time between two sweeps. A connection that has waited for less stays: its request may be on the way.
    package static let interval = TimeAmount.milliseconds(50)

    private struct Candidate: Sendable {
        var channel: any Channel
        var since: NIODeadline
    }

    private let limit: Int
    private let connections: OpenConnections
    private let waitingSince: @Sendable (any Channel) -> NIODeadline?
    private let crowded: @Sendable (Bool) -> Void
    private let isRunning = Atomic(false)

    /// - Parameters:
    ///   - limit: The number of open connections above which some close.
    ///   - connections: The open connections.
    ///   - waitingSince: When a connection began to wait for its client; `nil` while it works for it. It is called on the
    ///     connection's event loop.
    ///   - crowded: Called after a sweep: whether too many connections stay open, because they do not wait.
    package init(
        limit: Int,
        connections: OpenConnections,
        waitingSince: @escaping @Sendable (any Channel) -> NIODeadline?,
        crowded: @escaping @Sendable (Bool) -> Void
    ) {
        self.limit = limit
        self.connections = connections
        self.waitingSince = waitingSince
        self.crowded = crowded
    }

    /// Begins to sweep, unless that happens already.
    package func start(on eventLoop: any EventLoop) {
        guard !isRunning.exchange(true, ordering: .acquiringAndReleasing) else { return }
        sweep(on: eventLoop)
    }

    private func sweep(on eventLoop: any EventLoop) {
        let channels = connections.all
        // Some more than necessary, so that not every new connection needs a sweep.
        let excess = channels.count - (limit - limit / 16)
        guard channels.count > limit else { return stop(on: eventLoop) }
        let byLoop = Dictionary(grouping: channels) { ObjectIdentifier($0.eventLoop) }
        let latest = NIODeadline.now() - Self.interval
        let candidates = byLoop.values.compactMap { channels in
            channels.first?.eventLoop.submit { [waitingSince] in
                channels.compactMap { channel -> Candidate? in
                    guard let since = waitingSince(channel), since <= latest else { return nil }
                    return Candidate(channel: channel, since: since)
                }
            }
        }
        EventLoopFuture.whenAllSucceed(candidates, on: eventLoop).whenComplete { result in
            guard case .success(let lists) = result else { return self.stop(on: eventLoop) }
            let oldest = lists.joined().sorted { $0.since < $1.since }.prefix(excess)
            self.close(oldest)
            self.crowded(channels.count - oldest.count > self.limit)
            eventLoop.scheduleTask(in: Self.interval) { self.sweep(on: eventLoop) }
        }
    }

    private func close(_ candidates: some Sequence<Candidate>) {
        for (_, candidates) in Dictionary(grouping: candidates, by: { ObjectIdentifier($0.channel.eventLoop) }) {
            candidates.first?.channel.eventLoop.execute { [waitingSince] in
                // One that has a request by now stays.
                for candidate in candidates where waitingSince(candidate.channel) == candidate.since {
                    candidate.channel.close(promise: nil)
                }
            }
        }
    }

    private func stop(on eventLoop: any EventLoop) {
        crowded(false)
        isRunning.store(false, ordering: .releasing)
        // A connection may have come since the count.
        if connections.count > limit { start(on: eventLoop) }
    }
}
