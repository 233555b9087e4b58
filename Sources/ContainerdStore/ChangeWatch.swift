import ContentStore

/// A subscription to containerd's events. It ends with the last reference.
final class ChangeWatch: Sendable {
    private let channel: ChangeChannel
    private let task: Task<Void, Never>

    /// Subscribes with at most `limit` waiting changes.
    init(connection: ContainerdConnection, limit: Int) {
        channel = ChangeChannel(limit: limit)
        task = connection.watch(into: channel)
    }

    deinit {
        task.cancel()
    }

    /// Waits for the next change. Returns `nil` after the end, or when the calling task is cancelled.
    func next() async throws -> StoreChange? {
        try await channel.next()
    }
}
