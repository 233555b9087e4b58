import Files
import Logging
import OCI
import Synchronization

/// The content of an OCI image-layout folder, which somebody else may write at the same time.
///
/// Only content whose file stands under its digest is seen: `blobs/ALGORITHM/HEX`. Whoever writes the folder is
/// expected to rename finished files into place, as ``ImageLayoutWriter`` does.
public final class ImageLayoutStore: ContentStore {
    /// A repository of a registry.
    public typealias Repository = ContentSource

    /// The most pieces of content that are listed; what a folder holds beyond is not seen.
    public static let maximumContents = 1_000_000

    /// The largest `index.json` that is read, in bytes.
    public static let maximumIndexSize = 16 << 20

    private struct State {
        var stamp: Files.Stamp?
        var index = ImageLayoutIndex()
        var hasReportedFault = false
    }

    /// The folder.
    public let layout: ImageLayout
    private let defaultRepository: Repository?
    private let logger: Logger
    private let state = Mutex(State())

    /// Opens a layout.
    ///
    /// - Parameters:
    ///   - path: the folder; it must hold an `oci-layout` file, everything else may be missing.
    ///   - defaultRepository: what images whose name is only a tag belong to; without it they are passed over.
    ///   - logger: told once about every state of the index that cannot be read.
    /// - Throws: ``ImageLayoutError`` when the folder is no layout, `FileError` when it cannot be read.
    public init(path: String, defaultRepository: Repository? = nil, logger: Logger) throws {
        self.layout = ImageLayout(path: path)
        self.defaultRepository = defaultRepository
        self.logger = logger
        try layout.validate()
    }

    /// The images of the index whose name is a full reference, in the order of their names.
    public func images() async throws -> [StoredImage] {
        try currentIndex().images.map { StoredImage(name: $0.key, target: $0.value) }.sorted { $0.name < $1.name }
    }

    /// What the index says that a full image name stands for.
    public func resolve(_ name: String) async throws -> Descriptor? {
        try currentIndex().images[name]
    }

    /// All files that stand under a digest.
    public func contents() async throws -> [StoredContent] {
        let contents = try await BlobsFolder.contents(of: layout.blobsFolder, limit: Self.maximumContents + 1)
        if contents.count > Self.maximumContents {
            logger.warning(
                "the image layout holds more content than is looked at",
                metadata: ["path": "\(layout.path)", "limit": "\(Self.maximumContents)"]
            )
        }
        return Array(contents.prefix(Self.maximumContents))
    }

    /// The size of the file that stands under a digest.
    public func size(of digest: Digest) async throws -> Int64? {
        guard let status = try Files.status(layout.blobFile(digest)), status.kind == .file else { return nil }
        return status.size
    }

    /// Opens the file that stands under a digest.
    public func openFile(_ digest: Digest) throws -> ContentFile? {
        try ContentFile.open(path: layout.blobFile(digest))
    }

    /// Always `nil`: everything is within reach as a file.
    public func openReader(_ digest: Digest) async throws -> (any ContentReader)? {
        nil
    }

    /// What changes in the folder, told by inotify, or by looking every 2 s where the system has no watch to give.
    ///
    /// The stream throws when the folder itself is removed or renamed.
    public func changes() -> AsyncThrowingStream<StoreChange, any Error> {
        changes(interval: .milliseconds(100), pollingInterval: .seconds(2), watchFolders: true)
    }

    /// - Parameters:
    ///   - interval: how long changes are gathered before they are told.
    ///   - pollingInterval: how often the folder is looked at where it cannot be watched.
    ///   - watchFolders: whether inotify is used where it is to be had.
    func changes(
        interval: Duration,
        pollingInterval: Duration,
        watchFolders: Bool
    ) -> AsyncThrowingStream<StoreChange, any Error> {
        let folderWatch = watchFolders ? InotifyWatch() : nil
        if watchFolders, folderWatch == nil {
            logger.notice(
                "the image layout cannot be watched, it is looked at now and again",
                metadata: ["path": "\(layout.path)", "seconds": "\(pollingInterval.components.seconds)"]
            )
        }
        let watch = ImageLayoutWatch(
            store: self,
            folders: folderWatch,
            interval: folderWatch == nil ? pollingInterval : interval
        )
        // Pulled, not pushed: nobody listens, nothing runs and nothing is kept but what the kernel keeps within bounds.
        return AsyncThrowingStream(unfolding: { try await watch.next() })
    }

    /// The index as it is on disk now, or as it was when it could last be read.
    func currentIndex() throws -> ImageLayoutIndex {
        let stamp = try Files.status(layout.indexFile, followLinks: true)?.stamp
        return try state.withLock { state in
            guard let stamp else {
                state = State()
                return state.index
            }
            if state.stamp == stamp { return state.index }
            guard let json = try Files.read(layout.indexFile, limit: Self.maximumIndexSize) else {
                state = State()
                return state.index
            }
            do throws(ImageLayoutIndex.MalformedIndex) {
                state.index = try ImageLayoutIndex(json: json, defaultRepository: defaultRepository)
                state.stamp = stamp
                state.hasReportedFault = false
            } catch {
                // It may be half written; what is known stays until it can be read. Told once for each fault, and read
                // again at the next call, since a file may be finished without a change of its time stamp.
                if !state.hasReportedFault {
                    state.hasReportedFault = true
                    let fault = ImageLayoutError.malformedIndex(path: layout.indexFile, reason: error.reason)
                    logger.warning("the images of the layout stay as they were", metadata: ["reason": "\(fault)"])
                }
            }
            return state.index
        }
    }
}
