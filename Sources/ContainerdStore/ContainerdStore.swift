import ContentStore
import Glibc
import Logging
import NIOCore
import OCI

/// The content of a containerd, through its gRPC socket and, if accessible, its content folder. Works with containerd
/// 1.6, 1.7 and 2.x.
///
/// Calls need ``run()`` to be running. They fail with ``ContainerdError``. Calls to an unreachable containerd fail at
/// once, and succeed again within about a second of its return.
public final class ContainerdStore: ContentStore {
    /// The deadlines of calls to containerd.
    public struct Deadlines: Hashable, Sendable {
        /// The deadline for one thing: an image, the size of content, 1 MiB of it.
        public var call: Duration
        /// The deadline for a listing of all images or all content.
        public var listing: Duration

        /// Creates a set of deadlines.
        public init(call: Duration = .seconds(10), listing: Duration = .seconds(60)) {
            self.call = call
            self.listing = listing
        }
    }

    /// The maximum length of a Unix socket's path on Linux in bytes.
    public static let maximumSocketPathLength = 107

    /// The maximum number of waiting changes, before they collapse into one that means "anything may have changed".
    static let maximumWaitingChanges = 4096

    let connection: ContainerdConnection
    private let folder: ContentFolder?
    private let logger: Logger

    /// Creates a store. It connects when it runs.
    ///
    /// - Parameters:
    ///   - socketPath: the path of containerd's gRPC socket, usually `/run/containerd/containerd.sock`.
    ///   - namespace: the containerd namespace, `k8s.io` for Kubernetes.
    ///   - contentPath: containerd's content folder, usually
    ///     `/var/lib/containerd/io.containerd.content.v1.content`; `nil` when it is not accessible.
    ///   - group: the event loops for I/O; must be a `MultiThreadedEventLoopGroup` or one of its loops.
    ///   - logger: logs ignored images at level debug.
    ///   - deadlines: the deadlines of calls.
    /// - Throws: ``ContainerdError/invalidSocketPath(_:)``.
    public init(
        socketPath: String,
        namespace: String,
        contentPath: String?,
        group: any EventLoopGroup,
        logger: Logger,
        deadlines: Deadlines = Deadlines()
    ) throws {
        connection = try ContainerdConnection(
            socketPath: socketPath,
            namespace: namespace,
            deadlines: deadlines,
            group: group
        )
        folder = contentPath.map { ContentFolder(path: $0) }
        self.logger = logger
    }

    /// Checks whether a path can be containerd's socket, so that a wrong path is reported at start.
    ///
    /// An absent containerd is no fault: its socket may be missing from an existing folder, or have no listener.
    ///
    /// - Returns: the fault of the path, or `nil` when it is, or may become, a usable socket.
    public static func socketFault(path: String) -> ContainerdError? {
        switch SocketProbe.problem(path: path) {
        case nil, .notListening: return nil
        case .socketMissing:
            let folder = path.lastIndex(of: "/").map { path[...$0] } ?? "."
            return access(String(folder), F_OK) == 0 ? nil : .socketMissing(path: path)
        case let fault: return fault
        }
    }

    /// The reason why a connection fails right now, even if that may change; `nil` when a process listens.
    public static func socketProblem(path: String) -> ContainerdError? {
        SocketProbe.problem(path: path)
    }

    /// Runs the connection to containerd until ``close()`` is called or the task is cancelled. Call it once.
    ///
    /// It outlives containerd and reconnects. Cancelling the task also cancels running calls.
    public func run() async throws {
        try await connection.run()
    }

    /// Ends ``run()`` after the running calls. Ends all ``changes()`` at once and rejects further calls.
    public func close() {
        connection.close()
    }

    /// Asks containerd for its version, as a health check.
    ///
    /// - Returns: the version in containerd's own form, such as `1.6.20` or `v2.1.4`.
    public func verify() async throws -> String {
        try await connection.version()
    }

    /// Checks whether the content folder is readable and belongs to this containerd.
    ///
    /// An empty containerd may not have created the folder yet, so that a missing folder is then no problem.
    ///
    /// - Returns: one line with the problem and what to do, or `nil` without a problem or a folder. With a problem the
    ///   store still reads content over gRPC.
    public func contentFolderProblem() async throws -> String? {
        guard let folder, let held = try await connection.contents(until: { $0 > 0 }).first?.digest else { return nil }
        return folder.problem(held: held)
    }

    /// The configuration of containerd, as far as it is known.
    public func setup() async throws -> ContainerdSetup {
        try await connection.setup()
    }

    /// Whether a path fits the address of a Unix socket.
    static func isValidSocketPath(_ path: String) -> Bool {
        !path.isEmpty && path.utf8.count <= maximumSocketPathLength && !path.utf8.contains(0)
    }
}

// MARK: - ContentStore

extension ContainerdStore {
    /// All images of the namespace whose target has a supported digest.
    public func images() async throws -> [StoredImage] {
        try await connection.images().compactMap { image in
            descriptor(of: image).map { StoredImage(name: image.name, target: $0) }
        }
    }

    /// The manifest or index of a full image name, or `nil` when there is no such image.
    public func resolve(_ name: String) async throws -> Descriptor? {
        guard !name.isEmpty else { return nil }
        return try await connection.image(name: name).flatMap { descriptor(of: $0) }
    }

    /// All content of the namespace.
    public func contents() async throws -> [StoredContent] {
        try await connection.contents()
    }

    /// The metadata of content in the namespace, or `nil` when it is missing.
    public func content(_ digest: Digest) async throws -> StoredContent? {
        try await connection.info(of: digest)
    }

    /// The size in bytes of content in the namespace, or `nil` when it is missing.
    public func size(of digest: Digest) async throws -> Int64? {
        try await connection.info(of: digest)?.size
    }

    /// The content of the content folder, of all namespaces; none without access to the folder.
    public func contentsOnDisk() async throws -> [StoredContent] {
        try await folder?.contents() ?? []
    }

    /// Opens content in containerd's content folder. Returns `nil` when it is missing or not readable, or when there is
    /// no folder.
    public func openFile(_ digest: Digest) throws -> ContentFile? {
        try folder?.open(digest)
    }

    /// Opens content over gRPC. Returns `nil` when it is missing.
    public func openReader(_ digest: Digest) async throws -> (any ContentReader)? {
        try await connection.reader(of: digest)
    }

    /// containerd hashes content while it writes it, and names the file by the digest.
    public var verifiesCommits: Bool { true }

    /// The changes from now on: containerd's events on images and content, and the changes of its content folder.
    ///
    /// An ``ContentStore/StoreChange/unknown`` comes after the subscription, so that a reader of everything misses nothing.
    /// Without access to the folder, nothing reports garbage-collected content; the deletion of its image may precede
    /// it. The stream throws when containerd disconnects or the store is closed. It may be
    /// iterated once.
    public func changes() -> AsyncThrowingStream<StoreChange, any Error> {
        let watch = ChangeWatch(connection: connection, folder: folder, limit: Self.maximumWaitingChanges)
        return AsyncThrowingStream { try await watch.next() }
    }

    private func descriptor(of image: Containerd_Services_Images_V1_Image) -> Descriptor? {
        do {
            let digest = try Digest(image.target.digest)
            return Descriptor(mediaType: MediaType(image.target.mediaType), digest: digest, size: image.target.size)
        } catch {
            logger.debug("image ignored", metadata: ["image": "\(image.name)", "reason": "\(error)"])
            return nil
        }
    }
}
