import ContentStore

/// A subscription to containerd's events, which ends when nobody holds it any more.
final class ChangeWatch: Sendable {
    private let channel: ChangeChannel
    private let task: Task<Void, Never>

    /// Subscribes; at most `limit` changes wait to be taken.
    init(connection: ContainerdConnection, limit: Int) {
        channel = ChangeChannel(limit: limit)
        task = connection.watch(into: channel)
    }

    deinit {
        task.cancel()
    }

    /// Waits for the next change; `nil` after the end, or when the calling task is cancelled.
    func next() async throws -> StoreChange? {
        try await channel.next()
    }
}
