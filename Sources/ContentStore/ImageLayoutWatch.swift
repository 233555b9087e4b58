import Files
import OCI

/// Follows an image-layout folder for one listener.
actor ImageLayoutWatch {
    /// The role of a watched folder in the layout.
    private enum Place: Hashable {
        case root
        case blobs
        case algorithm(Digest.Algorithm)
    }

    private let store: ImageLayoutStore
    private let interval: Duration
    private let folders: InotifyWatch?
    private var places: [Int32: Place] = [:]
    private var index: ImageLayoutIndex
    private var stamps: [Digest.Algorithm: Files.Stamp] = [:]
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
            if let folders { places = try Self.watch(store.layout, with: folders) }
            index = try store.currentIndex()
            stamps = try Self.stamps(of: store.layout)
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
            await folders?.wait()
            do {
                try await Task.sleep(for: interval)
            } catch {
                return nil
            }
            do {
                if let folders {
                    try collect(from: folders)
                } else {
                    try look()
                }
            } catch {
                // Report the changes that were seen before the fault first.
                failure = error
            }
        }
    }

    private func collect(from folders: InotifyWatch) throws {
        var isIndexTouched = false
        var isShapeChanged = false
        var isRootGone = false
        // The kernel queues at most 16,384 events by default. More reads would only follow a writer that never rests.
        for _ in 0..<32 {
            let events = try folders.read()
            guard !events.isEmpty else { break }
            for event in events {
                if event.isOverflow {
                    queue.append(.unknown)
                    isShapeChanged = true
                    isIndexTouched = true
                    continue
                }
                guard let place = places[event.watch] else { continue }
                switch place {
                case .root:
                    if event.isFolderGone { isRootGone = true }
                    if event.name == "index.json", event.isEntryComplete || event.isEntryGone { isIndexTouched = true }
                    if event.name == "blobs" { isShapeChanged = true }
                case .blobs:
                    if event.isFolderGone || event.isFolder { isShapeChanged = true }
                case .algorithm(let algorithm):
                    if event.isFolderGone {
                        isShapeChanged = true
                    } else if let digest = try? Digest(algorithm.rawValue + ":" + event.name) {
                        if event.isEntryComplete { queue.append(.contentAdded(digest)) }
                        if event.isEntryGone { queue.append(.unknown) }
                    }
                }
            }
        }
        if isShapeChanged {
            // Files may have appeared in a folder before the watch on it.
            places = try Self.watch(store.layout, with: folders)
            queue.append(.unknown)
        }
        if isIndexTouched { try compareIndex() }
        if isRootGone || !places.values.contains(.root) {
            throw ImageLayoutError.notAFolder(path: store.layout.path)
        }
    }

    private func look() throws {
        guard try Files.status(store.layout.path, followLinks: true)?.kind == .folder else {
            throw ImageLayoutError.notAFolder(path: store.layout.path)
        }
        let now = try Self.stamps(of: store.layout)
        if now != stamps { queue.append(.unknown) }
        stamps = now
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
        if let root = try folders.add(layout.path) { places[root] = .root }
        if let blobs = try folders.add(layout.blobsFolder) { places[blobs] = .blobs }
        for algorithm in Digest.Algorithm.allCases {
            if let folder = try folders.add(layout.blobsFolder(algorithm)) { places[folder] = .algorithm(algorithm) }
        }
        return places
    }

    /// A folder's stamp changes when an entry is added or removed.
    private static func stamps(of layout: ImageLayout) throws(FileError) -> [Digest.Algorithm: Files.Stamp] {
        var stamps: [Digest.Algorithm: Files.Stamp] = [:]
        for algorithm in Digest.Algorithm.allCases {
            stamps[algorithm] = try Files.status(layout.blobsFolder(algorithm), followLinks: true)?.stamp
        }
        return stamps
    }
}
