import Files
import OCI

/// Follows an image-layout folder for one listener.
///
/// inotify watches folders, not paths. So the watch compares, with each event and once a second, which folders the
/// paths lead to: a folder may vanish, be replaced, or be reached through a link that changes.
actor ImageLayoutWatch {
    /// The role of a watched folder in the layout.
    private enum Place: Hashable {
        case root
        case blobs
        case algorithm(Digest.Algorithm)
    }

    /// How often to compare the folders without an event.
    private static let comparisonInterval = Duration.seconds(1)

    private let store: ImageLayoutStore
    private let interval: Duration
    private let folders: InotifyWatch?
    private var places: [Int32: Place] = [:]
    /// The folders that the paths of the layout lead to.
    private var stamps: [Place: Files.Stamp] = [:]
    private var index: ImageLayoutIndex
    private var queue = ChangeQueue()
    private var failure: (any Error)?

    /// Starts to follow: changes after this call are reported.
    ///
    /// - Parameters:
    ///   - folders: the inotify watch; without one the folder is polled every `interval`.
    ///   - interval: how long to gather changes.
    init(store: ImageLayoutStore, folders: InotifyWatch?, interval: Duration) {
        self.store = store
        self.folders = folders
        self.interval = interval
        // The order matters: a change between the watch and the first look is reported at least once.
        do {
            stamps = try Self.stamps(of: store.layout)
            if let folders { places = try Self.watch(store.layout, with: folders) }
            index = try store.currentIndex()
        } catch {
            index = ImageLayoutIndex()
            failure = error
        }
    }

    /// The next change, or `nil` when the listener is cancelled.
    func next() async throws -> StoreChange? {
        while true {
            if let change = queue.popFirst() { return change }
            if let failure { throw failure }
            await folders?.wait(atMost: Self.comparisonInterval)
            do {
                try await Task.sleep(for: interval)
            } catch {
                return nil
            }
            do {
                let isWatchLost = if let folders { try collect(from: folders) } else { false }
                try look(isWatchLost: isWatchLost)
            } catch {
                // Report the changes that were seen before the fault first.
                failure = error
            }
        }
    }

    /// - Returns: whether a watched folder is gone. Another folder in its place may have got its number.
    private func collect(from folders: InotifyWatch) throws -> Bool {
        var isWatchLost = false
        // The kernel queues at most 16,384 events by default. More reads would only follow a writer that never rests.
        for _ in 0..<32 {
            let events = try folders.read()
            guard !events.isEmpty else { break }
            for event in events {
                if event.isOverflow {
                    queue.append(.unknown)
                    isWatchLost = true
                } else if event.isFolderGone {
                    if places[event.watch] != nil { isWatchLost = true }
                } else if case .algorithm(let algorithm)? = places[event.watch],
                    let digest = try? Digest(algorithm.rawValue + ":" + event.name)
                {
                    if event.isEntryComplete || (event.isEntryNew && isLink(digest)) {
                        queue.append(.contentAdded(digest))
                    }
                    if event.isEntryGone { queue.append(.unknown) }
                }
            }
        }
        return isWatchLost
    }

    /// Whether a new entry is a link to a file, or a second name of one: it is complete when it appears.
    private func isLink(_ digest: Digest) -> Bool {
        guard let status = try? Files.status(store.layout.blobFile(digest)) else { return false }
        return status.kind == .link || (status.kind == .file && status.linkCount > 1)
    }

    /// Compares the folders that the paths lead to, and the index.
    private func look(isWatchLost: Bool) throws {
        let now = try Self.stamps(of: store.layout)
        let before = stamps
        stamps = now
        if let folders {
            let isSame = now.count == before.count && now.allSatisfy { before[$0]?.isSameEntry(as: $1) ?? false }
            if isWatchLost || !isSame {
                let old = places
                places = try Self.watch(store.layout, with: folders)
                for watch in old.keys where places[watch] == nil { folders.remove(watch) }
                // Files may have appeared in a folder before the watch on it.
                queue.append(.unknown)
            }
        } else if now.contains(where: { $0 != .root && before[$0] != $1 }) || now.count != before.count {
            // Without inotify: a folder's stamp changes when an entry is added or removed.
            queue.append(.unknown)
        }
        try compareIndex()
    }

    private func compareIndex() throws {
        let now = try store.currentIndex()
        for change in now.changes(since: index) { queue.append(change) }
        index = now
    }

    private static func watch(
        _ layout: ImageLayout,
        with folders: InotifyWatch
    ) throws(FileError) -> [Int32: Place] {
        // A second watch on a folder returns the number of the first.
        var places: [Int32: Place] = [:]
        for (place, path) in paths(of: layout) {
            if let watch = try folders.add(path) { places[watch] = place }
        }
        return places
    }

    /// - Throws: ``ImageLayoutError/notAFolder(path:)`` when the layout is gone.
    private static func stamps(of layout: ImageLayout) throws -> [Place: Files.Stamp] {
        var stamps: [Place: Files.Stamp] = [:]
        for (place, path) in paths(of: layout) {
            guard let status = try Files.status(path, followLinks: true), status.kind == .folder else { continue }
            stamps[place] = status.stamp
        }
        guard stamps[.root] != nil else { throw ImageLayoutError.notAFolder(path: layout.path) }
        return stamps
    }

    private static func paths(of layout: ImageLayout) -> [(Place, String)] {
        [(.root, layout.path), (.blobs, layout.blobsFolder)]
            + Digest.Algorithm.allCases.map { (.algorithm($0), layout.blobsFolder($0)) }
    }
}
