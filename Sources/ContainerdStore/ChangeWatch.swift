import ContentStore

/// A subscription to containerd's events, and to the changes of its content folder. It ends with the last reference.
final class ChangeWatch: Sendable {
    private let channel: ChangeChannel
    private let tasks: [Task<Void, Never>]

    /// Subscribes with at most `limit` waiting changes.
    ///
    /// - Parameter folder: the content folder, if it is accessible.
    init(connection: ContainerdConnection, folder: ContentFolder?, limit: Int) {
        let channel = ChangeChannel(limit: limit)
        self.channel = channel
        var tasks = [connection.watch(into: channel)]
        if let folder { tasks.append(Task { await ContentFolderWatch.run(folder.path, into: channel) }) }
        self.tasks = tasks
    }

    deinit {
        for task in tasks { task.cancel() }
    }

    /// Waits for the next change. Returns `nil` after the end, or when the calling task is cancelled.
    func next() async throws -> StoreChange? {
        try await channel.next()
    }
}
