import Files
import Logging
import OCI
import Synchronization

/// The content of an OCI image-layout folder, which other programs may write at the same time.
///
/// The store sees only blobs whose path is their digest: `blobs/ALGORITHM/HEX`, a file or a link to one. A writer must
/// rename finished files into place, as ``ImageLayoutWriter`` does.
///
/// The folder may vanish and return, or be a link that changes. While it is no layout, a listing throws.
public final class ImageLayoutStore: ContentStore {
    /// A repository of a registry.
    public typealias Repository = ContentSource

    /// The maximum number of listed blobs. The store ignores the rest.
    public static let maximumContents = 1_000_000

    /// The maximum size of `index.json` in bytes.
    public static let maximumIndexSize = 16 << 20

    private struct State {
        var stamp: Files.Stamp?
        var index = ImageLayoutIndex()
        var hasReportedFault = false
        /// The names without a registry, and the first path of content that is no file, as they were last logged.
        var reportedNames: [String] = []
        var reportedPath: String?

        mutating func forgetIndex() {
            stamp = nil
            index = ImageLayoutIndex()
            hasReportedFault = false
        }
    }

    /// The folder.
    public let layout: ImageLayout
    private let defaultRepository: Repository?
    private let logger: Logger
    private let state = Mutex(State())

    /// Opens a layout.
    ///
    /// - Parameters:
    ///   - path: the folder; it must contain an `oci-layout` file, everything else is optional.
    ///   - defaultRepository: the repository of images whose name is only a tag. Without it the store ignores them.
    ///   - logger: logs each unreadable state of the index once.
    /// - Throws: ``ImageLayoutError`` when the folder is no layout, `FileError` when it cannot be read.
    public init(path: String, defaultRepository: Repository? = nil, logger: Logger) throws {
        self.layout = ImageLayout(path: path)
        self.defaultRepository = defaultRepository
        self.logger = logger
        try layout.validate()
    }

    /// The images of the index whose name is a full reference, sorted by name.
    public func images() async throws -> [StoredImage] {
        try layout.validate()
        return try currentIndex().images.map { StoredImage(name: $0.key, target: $0.value) }
            .sorted { $0.name < $1.name }
    }

    /// The target of a full image name in the index.
    public func resolve(_ name: String) async throws -> Descriptor? {
        try currentIndex().images[name]
    }

    /// All blobs whose path is a digest.
    public func contents() async throws -> [StoredContent] {
        try layout.validate()
        var ignored: (first: String, count: Int)?
        let contents = try await BlobsFolder.contents(
            of: layout.blobsFolder,
            limit: Self.maximumContents + 1,
            followLinks: true
        ) { path in
            ignored = (ignored?.first ?? path, (ignored?.count ?? 0) + 1)
        }
        reportIgnored(ignored)
        if contents.count > Self.maximumContents {
            logger.warning(
                "image layout has too many blobs, ignoring the rest",
                metadata: ["path": "\(layout.path)", "limit": .stringConvertible(Self.maximumContents)]
            )
        }
        return Array(contents.prefix(Self.maximumContents))
    }

    /// The size of the blob with a digest.
    public func size(of digest: Digest) async throws -> Int64? {
        try openFile(digest)?.size
    }

    /// Opens the blob with a digest.
    public func openFile(_ digest: Digest) throws -> ContentFile? {
        try ContentFile.open(path: layout.blobFile(digest), followLinks: true)
    }

    /// Always `nil`: all content is accessible as files.
    public func openReader(_ digest: Digest) async throws -> (any ContentReader)? {
        nil
    }

    /// The changes of the folder, from inotify, or from polling every 2 s where inotify is unavailable.
    ///
    /// The stream throws while there is no folder at the path. Another folder in its place is an unknown change.
    public func changes() -> AsyncThrowingStream<StoreChange, any Error> {
        changes(interval: .milliseconds(100), pollingInterval: .seconds(2), watchFolders: true)
    }

    /// - Parameters:
    ///   - interval: how long to gather changes before reporting them.
    ///   - pollingInterval: how often to poll without inotify.
    ///   - watchFolders: whether to use inotify if available.
    func changes(
        interval: Duration,
        pollingInterval: Duration,
        watchFolders: Bool
    ) -> AsyncThrowingStream<StoreChange, any Error> {
        let folderWatch = watchFolders ? InotifyWatch() : nil
        if watchFolders, folderWatch == nil {
            logger.notice(
                "inotify unavailable, polling the image layout",
                metadata: [
                    "path": "\(layout.path)", "seconds": .stringConvertible(pollingInterval.components.seconds),
                ]
            )
        }
        let watch = ImageLayoutWatch(
            store: self,
            folders: folderWatch,
            interval: folderWatch == nil ? pollingInterval : interval
        )
        // A pull-based stream: without a listener nothing runs, and only the kernel keeps a bounded queue of events.
        return AsyncThrowingStream(unfolding: { try await watch.next() })
    }

    /// Logs once for each state that blobs are not files, such as links that lead nowhere.
    private func reportIgnored(_ ignored: (first: String, count: Int)?) {
        let isNew = state.withLock { state in
            defer { state.reportedPath = ignored?.first }
            return state.reportedPath != ignored?.first
        }
        guard isNew, let ignored else { return }
        logger.warning(
            "image layout has blobs that are no readable files, ignoring them",
            metadata: ["blobs": "\(ignored.count)", "example": "\(ignored.first)"]
        )
    }

    /// Logs once that images have names without a registry. Their content is shared by digest.
    private func reportNames(_ state: inout State) {
        defer { state.reportedNames = state.index.otherNames }
        guard state.index.otherNames != state.reportedNames, !state.index.otherNames.isEmpty else { return }
        logger.notice(
            "image layout names images without a registry, sharing them by digest only",
            metadata: [
                "examples": "\(state.index.otherNames.map { String($0.prefix(128)) }.joined(separator: ", "))",
                "expected": "an annotation such as \(ImageLayout.refNameAnnotation)=docker.io/library/alpine:3",
            ]
        )
    }

    /// The index on disk, or the last readable one.
    func currentIndex() throws -> ImageLayoutIndex {
        let stamp = try Files.status(layout.indexFile, followLinks: true)?.stamp
        return try state.withLock { state in
            guard let stamp else {
                state.forgetIndex()
                return state.index
            }
            if state.stamp == stamp { return state.index }
            guard let json = try Files.read(layout.indexFile, limit: Self.maximumIndexSize) else {
                state.forgetIndex()
                return state.index
            }
            do throws(ImageLayoutIndex.MalformedIndex) {
                state.index = try ImageLayoutIndex(json: json, defaultRepository: defaultRepository)
                state.stamp = stamp
                state.hasReportedFault = false
                reportNames(&state)
            } catch {
                // The file may be half written: keep the last index until it can be read again. Log each fault once.
                // Read again on the next call, because a file may be completed without a change of its time stamp.
                if !state.hasReportedFault {
                    state.hasReportedFault = true
                    let fault = ImageLayoutError.malformedIndex(path: layout.indexFile, reason: error.reason)
                    logger.warning(
                        "image layout index unreadable, keeping its images",
                        metadata: ["reason": "\(fault)"]
                    )
                }
            }
            return state.index
        }
    }
}
