import OCI

/// The content of a node. Spegel only reads it.
///
/// An answer holds for the moment of the call, since the owner of the store collects garbage at any time. Missing
/// content is `nil`. An error means that the store did not answer.
public protocol ContentStore: Sendable {
    /// All images: their names and the manifest or index of each.
    ///
    /// A name need not be a reference; other names mean something to their store only.
    func images() async throws -> [StoredImage]

    /// The manifest or index of a full image name (`docker.io/library/alpine:3`), or `nil` when there is no such image.
    func resolve(_ name: String) async throws -> Descriptor?

    /// All content, in no particular order.
    func contents() async throws -> [StoredContent]

    /// The metadata of content, or `nil` when it is missing.
    func content(_ digest: Digest) async throws -> StoredContent?

    /// The size of content in bytes, or `nil` when it is missing.
    func size(of digest: Digest) async throws -> Int64?

    /// The content that can be opened as files while the store itself does not answer.
    func contentsOnDisk() async throws -> [StoredContent]

    /// Opens content as a file. Returns `nil` when it is missing or not accessible as a file.
    ///
    /// The call returns soon and asks no other process, so it is safe on an event loop.
    func openFile(_ digest: Digest) throws -> ContentFile?

    /// Opens content that is not accessible as a file. Returns `nil` when it is missing.
    func openReader(_ digest: Digest) async throws -> (any ContentReader)?

    /// The changes from now on, until the caller stops listening.
    ///
    /// The stream ends or throws when the watch is lost. The caller must then watch again and read everything again.
    /// Changes are coalesced when the caller takes them too slowly.
    func changes() -> AsyncThrowingStream<StoreChange, any Error>

    /// The digest checks of the store, or `nil` when it has none.
    var checks: ContentChecks? { get }

    /// Whether content is hashed before it gets its place in the store, so that what has just come there is right.
    var verifiesCommits: Bool { get }

    /// Notes that content has just come to its place in the store.
    func noteCommitted(_ content: StoredContent)
}

/// An image in a store: a name and its target.
public struct StoredImage: Hashable, Sendable {
    /// The name as the store keeps it.
    public var name: String
    /// The manifest or index of the name.
    public var target: Descriptor

    /// Creates an image.
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
    /// The repositories that it was pulled from, as far as the store knows. Imported content has none.
    public var sources: [ContentSource]

    /// Creates an entry.
    public init(digest: Digest, size: Int64, sources: [ContentSource] = []) {
        self.digest = digest
        self.size = size
        self.sources = sources
    }
}

/// A repository from which content was pulled.
public struct ContentSource: Hashable, Sendable {
    /// The registry.
    public var registry: RegistryName
    /// The repository in the registry.
    public var repository: RepositoryName

    /// Creates a source.
    public init(registry: RegistryName, repository: RepositoryName) {
        self.registry = registry
        self.repository = repository
    }
}

/// A change in a store: the place to look, not the new state.
public enum StoreChange: Hashable, Sendable {
    /// The image of this name is new or has another target.
    case imageUpdated(name: String)
    /// The image of this name was deleted. Content that only it used may follow.
    case imageDeleted(name: String)
    /// This content is new.
    case contentAdded(Digest)
    /// This content was removed.
    case contentRemoved(Digest)
    /// Anything may have changed, so that everything must be read again.
    case unknown

    /// Whether this is the deletion of an image.
    public var isDeletion: Bool {
        if case .imageDeleted = self { true } else { false }
    }
}

/// Content that can be read in parts.
public protocol ContentReader: Sendable {
    /// The size of the whole content in bytes.
    var size: Int64 { get }

    /// The state of the content, or `nil` when it is unknown and the content cannot be checked.
    var stamp: ContentStamp? { get }

    /// The location of the content, for messages.
    var place: String { get }

    /// The bytes of a range in order, in chunks of at most 1 MiB. The stream throws when it cannot read to the end of
    /// the range.
    func read(_ range: Range<Int64>) -> AsyncThrowingStream<[UInt8], any Error>
}

extension ContentReader {
    /// The state is unknown.
    public var stamp: ContentStamp? { nil }

    /// A location for stores without one of their own.
    public var place: String { "the content store" }
}

extension ContentStore {
    /// No digest checks.
    public var checks: ContentChecks? { nil }

    /// Files of any program are checked.
    public var verifiesCommits: Bool { false }

    /// Without checks there is nothing to note.
    public func noteCommitted(_ content: StoredContent) {}

    /// The metadata of content: its size.
    public func content(_ digest: Digest) async throws -> StoredContent? {
        try await size(of: digest).map { StoredContent(digest: digest, size: $0) }
    }

    /// None: such a store always answers.
    public func contentsOnDisk() async throws -> [StoredContent] { [] }

    /// Reads a whole document, such as a manifest. Returns `nil` when it is missing.
    ///
    /// - Parameter limit: the maximum size in bytes.
    /// - Throws: ``ContentError/tooLarge(_:limit:)`` above the limit.
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
