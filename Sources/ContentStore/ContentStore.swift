import OCI

/// The content that a node holds, wherever it is kept. Spegel only ever reads it.
///
/// A store answers for what it holds at the moment of the call; nothing is promised about the next one, since whoever
/// owns the store collects garbage as it sees fit. Content that is gone is told by `nil`, never by an error: an error
/// means that the store could not be asked.
public protocol ContentStore: Sendable {
    /// All images: the names that people pull, and the manifest or index that each names.
    ///
    /// Names need not be references; those that are not are of use to their store alone.
    func images() async throws -> [StoredImage]

    /// The manifest or index that a full image name (`docker.io/library/alpine:3`) stands for, or `nil` when there is
    /// no such image.
    func resolve(_ name: String) async throws -> Descriptor?

    /// All content, in no particular order.
    func contents() async throws -> [StoredContent]

    /// What is known of a piece of content, or `nil` when it is not held.
    func content(_ digest: Digest) async throws -> StoredContent?

    /// The size in bytes of a piece of content, or `nil` when it is not held.
    func size(of digest: Digest) async throws -> Int64?

    /// The content that can be opened as files while the store itself cannot be asked; none where that is never so.
    func contentsAtHand() async throws -> [StoredContent]

    /// Opens content as a file, or gives `nil` when it is not held or not kept in a file within reach.
    ///
    /// The call neither blocks for long nor asks another process, so it may be made on an event loop.
    func openFile(_ digest: Digest) throws -> ContentFile?

    /// Opens content that is not within reach as a file, or gives `nil` when it is not held.
    func openReader(_ digest: Digest) async throws -> (any ContentReader)?

    /// What changes from now on, until the caller stops to listen.
    ///
    /// The stream ends or throws when the store can no longer be watched; the caller then has to start over: watch
    /// again, and read everything again. Changes are coalesced when they come faster than they are taken.
    func changes() -> AsyncThrowingStream<StoreChange, any Error>

    /// What checks the content of the store against their digests; `nil` where nothing does.
    var checks: ContentChecks? { get }
}

/// An image in a store: a name and what it stands for.
public struct StoredImage: Hashable, Sendable {
    /// The name as the store keeps it.
    public var name: String
    /// The manifest or index that the name stands for.
    public var target: Descriptor

    /// Makes an image.
    public init(name: String, target: Descriptor) {
        self.name = name
        self.target = target
    }
}

/// A piece of content in a store.
public struct StoredContent: Hashable, Sendable {
    /// The digest of the content.
    public var digest: Digest
    /// The size of the content in bytes.
    public var size: Int64
    /// The repositories that it was pulled from, as far as the store knows; imported content has none.
    public var sources: [ContentSource]

    /// Makes an entry.
    public init(digest: Digest, size: Int64, sources: [ContentSource] = []) {
        self.digest = digest
        self.size = size
        self.sources = sources
    }
}

/// A repository that content was pulled from.
public struct ContentSource: Hashable, Sendable {
    /// The registry.
    public var registry: RegistryName
    /// The repository within it.
    public var repository: RepositoryName

    /// Names a repository.
    public init(registry: RegistryName, repository: RepositoryName) {
        self.registry = registry
        self.repository = repository
    }
}

/// Something that has changed in a store. It says where to look, not what is there now.
public enum StoreChange: Hashable, Sendable {
    /// The image of this name was made or now stands for something else.
    case imageUpdated(name: String)
    /// The image of this name is gone; content that only it used may follow.
    case imageDeleted(name: String)
    /// This content is now held.
    case contentAdded(Digest)
    /// Anything may have changed: everything must be read again.
    case unknown

    /// Whether this tells that an image is gone.
    public var isDeletion: Bool {
        if case .imageDeleted = self { true } else { false }
    }
}

/// Content that can be read in parts, from wherever it is.
public protocol ContentReader: Sendable {
    /// The size of the whole content in bytes.
    var size: Int64 { get }

    /// The state that the content is in; `nil` where it cannot be told, and the content so not be checked.
    var stamp: ContentStamp? { get }

    /// Where the content is, for people.
    var place: String { get }

    /// The bytes of a part of the content, in order, in chunks of at most 1 MiB. The stream throws when the content
    /// cannot be read to the end of the range.
    func read(_ range: Range<Int64>) -> AsyncThrowingStream<[UInt8], any Error>
}

extension ContentReader {
    /// It cannot be told.
    public var stamp: ContentStamp? { nil }

    /// Nowhere in particular.
    public var place: String { "the content store" }
}

extension ContentStore {
    /// Nothing.
    public var checks: ContentChecks? { nil }

    /// What is known of a piece of content: its size.
    public func content(_ digest: Digest) async throws -> StoredContent? {
        try await size(of: digest).map { StoredContent(digest: digest, size: $0) }
    }

    /// None: the store is there whenever its files are.
    public func contentsAtHand() async throws -> [StoredContent] { [] }

    /// Reads a whole document, such as a manifest, or gives `nil` when it is not held.
    ///
    /// - Parameter limit: the most bytes that are read.
    /// - Throws: ``ContentError/tooLarge(_:limit:)`` when the document is larger than the limit.
    public func readDocument(_ digest: Digest, limit: Int = Manifest.maximumSize) async throws -> [UInt8]? {
        if let file = try openFile(digest) {
            return try file.readAll(limit: limit)
        }
        guard let reader = try await openReader(digest) else { return nil }
        guard reader.size <= limit else { throw ContentError.tooLarge(reader.size, limit: limit) }
        var bytes: [UInt8] = []
        for try await chunk in reader.read(0..<reader.size) {
            bytes.append(contentsOf: chunk)
            guard bytes.count <= limit else { throw ContentError.tooLarge(Int64(bytes.count), limit: limit) }
        }
        return bytes
    }
}
