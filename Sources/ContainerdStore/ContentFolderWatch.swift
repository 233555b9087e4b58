import ContentStore
import OCI

/// Follows containerd's content folder: tells at once what was committed or removed.
///
/// containerd renames a blob into its place when it commits it. Before 2.0 it sends an event only when the whole image is
/// there, and no version sends one for what its garbage collection removes. The folder has the blobs of all namespaces, so
/// a change says where to look. A folder that is not there yet, or is replaced, is looked for every second.
enum ContentFolderWatch {
    private static let retryInterval = Duration.seconds(1)

    private enum Place {
        case blobs
        case algorithm(Digest.Algorithm)
    }

    /// Follows until the task is cancelled.
    ///
    /// - Parameter path: of the content folder.
    static func run(_ path: String, into channel: ChangeChannel) async {
        // The subscription to events makes the listener read everything at first.
        var hasMissed = false
        while !Task.isCancelled {
            if let watch = InotifyWatch(), let places = try? places(path + "/blobs", watch), !places.isEmpty {
                if hasMissed { channel.send(.unknown) }
                await follow(watch, places, channel)
            }
            hasMissed = true
            do { try await Task.sleep(for: retryInterval) } catch { return }
        }
    }

    private static func places(_ blobs: String, _ watch: InotifyWatch) throws -> [Int32: Place] {
        guard let root = try watch.add(blobs) else { return [:] }
        var places: [Int32: Place] = [root: .blobs]
        for algorithm in Digest.Algorithm.allCases {
            if let folder = try watch.add(blobs + "/" + algorithm.rawValue) { places[folder] = .algorithm(algorithm) }
        }
        return places
    }

    /// Follows until a folder appears, goes, or cannot be watched.
    private static func follow(_ watch: InotifyWatch, _ places: [Int32: Place], _ channel: ChangeChannel) async {
        while !Task.isCancelled {
            await watch.wait()
            guard let events = try? watch.read() else { return }
            for event in events {
                if event.isOverflow { channel.send(.unknown) }
                switch places[event.watch] {
                case nil: continue
                case .blobs: if event.isFolderGone || event.isFolder { return }
                case .algorithm(let algorithm):
                    if event.isFolderGone { return }
                    guard let digest = try? Digest(algorithm.rawValue + ":" + event.name) else { continue }
                    if event.isEntryGone {
                        channel.send(.contentRemoved(digest))
                    } else if event.isEntryComplete {
                        channel.send(.contentAdded(digest))
                    }
                }
            }
        }
    }
}
