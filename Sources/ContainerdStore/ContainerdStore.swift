import ContentStore
import Glibc
import Logging
import NIOCore
import OCI

/// The content that a containerd holds: asked over its gRPC socket, read from its content folder where that is within
/// reach and over gRPC elsewhere. Works with containerd 1.6, 1.7 and 2.x.
///
/// ``run()`` must be running for calls to be answered. Calls fail with ``ContainerdError``; while containerd is away
/// they fail at once, and work again within about a second of its return.
public final class ContainerdStore: ContentStore {
    /// How long containerd may take to answer.
    public struct Deadlines: Hashable, Sendable {
        /// For a call that concerns one thing: an image, the size of content, 1 MiB of it.
        public var call: Duration
        /// For a listing of all images or all content.
        public var listing: Duration

        /// Makes a set of deadlines.
        public init(call: Duration = .seconds(10), listing: Duration = .seconds(60)) {
            self.call = call
            self.listing = listing
        }
    }

    /// The most bytes that the path of a Unix socket can have on Linux.
    public static let maximumSocketPathLength = 107

    /// How many changes may wait for whoever takes them, before they collapse into one that says that anything may
    /// have changed.
    static let maximumWaitingChanges = 4096

    let connection: ContainerdConnection
    private let folder: ContentFolder?
    private let logger: Logger

    /// Makes a store; nothing is connected before it runs.
    ///
    /// - Parameters:
    ///   - socketPath: the path of containerd's gRPC socket, usually `/run/containerd/containerd.sock`.
    ///   - namespace: the containerd namespace whose images and content are meant, `k8s.io` for Kubernetes.
    ///   - contentPath: containerd's content folder, usually
    ///     `/var/lib/containerd/io.containerd.content.v1.content`; `nil` when it is not within reach.
    ///   - group: where the connection's I/O takes place; must be a `MultiThreadedEventLoopGroup` or one of its loops.
    ///   - logger: where content that cannot be understood is told of, at level debug.
    ///   - deadlines: how long containerd may take to answer.
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

    /// Finds out whether a path can be containerd's socket at all, so that a wrong one is told at start.
    ///
    /// A containerd that is not there yet is no fault: its socket may be missing from a folder that exists, or have
    /// nobody behind it.
    ///
    /// - Returns: what is wrong with the path, or `nil` when it is, or may become, a socket to connect to.
    public static func socketFault(path: String) -> ContainerdError? {
        switch SocketProbe.problem(path: path) {
        case nil, .notListening: return nil
        case .socketMissing:
            let folder = path.lastIndex(of: "/").map { path[...$0] } ?? "."
            return access(String(folder), F_OK) == 0 ? nil : .socketMissing(path: path)
        case let fault: return fault
        }
    }

    /// What keeps a connection from being made right now, also when that may change; `nil` when somebody listens.
    public static func socketProblem(path: String) -> ContainerdError? {
        SocketProbe.problem(path: path)
    }

    /// Keeps the connection to containerd, until ``close()`` is called or the task is cancelled. May be called once.
    ///
    /// It does not end when containerd does: it goes on trying to connect. Cancelling the task also breaks off the
    /// calls that are being made.
    public func run() async throws {
        try await connection.run()
    }

    /// Ends ``run()`` once the calls that are being made have ended. All ``changes()`` end at once, and no further
    /// call is possible.
    public func close() {
        connection.close()
    }

    /// Asks containerd for its version, to find out whether it is there.
    ///
    /// - Returns: the version as containerd writes it, such as `1.6.20` or `v2.1.4`.
    public func verify() async throws -> String {
        try await connection.version()
    }

    /// Finds out whether content can be read from the content folder, and whether it is that of this containerd.
    ///
    /// A containerd that holds nothing yet may not have made the folder either, so nothing can be said then.
    ///
    /// - Returns: what is wrong, in one line that says what to do, or `nil` when nothing is or no folder was given.
    ///   Where something is wrong, content is still read over gRPC.
    public func contentFolderProblem() async throws -> String? {
        guard let folder, let held = try await connection.contents(until: { $0 > 0 }).first?.digest else { return nil }
        return folder.problem(held: held)
    }

    /// How containerd is set up, as far as it tells.
    public func setup() async throws -> ContainerdSetup {
        try await connection.setup()
    }

    /// Whether a path fits into the address of a Unix socket.
    static func isValidSocketPath(_ path: String) -> Bool {
        !path.isEmpty && path.utf8.count <= maximumSocketPathLength && !path.utf8.contains(0)
    }
}

// MARK: - ContentStore

extension ContainerdStore {
    /// All images of the namespace. Those whose target has no supported digest are left out.
    public func images() async throws -> [StoredImage] {
        try await connection.images().compactMap { image in
            descriptor(of: image).map { StoredImage(name: image.name, target: $0) }
        }
    }

    /// The manifest or index that a full image name stands for, or `nil` when there is no such image.
    public func resolve(_ name: String) async throws -> Descriptor? {
        guard !name.isEmpty else { return nil }
        return try await connection.image(name: name).flatMap { descriptor(of: $0) }
    }

    /// All content of the namespace.
    public func contents() async throws -> [StoredContent] {
        try await connection.contents()
    }

    /// What containerd knows of content of the namespace, or `nil` when it is not held.
    public func content(_ digest: Digest) async throws -> StoredContent? {
        try await connection.info(of: digest)
    }

    /// The size in bytes of content of the namespace, or `nil` when it is not held.
    public func size(of digest: Digest) async throws -> Int64? {
        try await connection.info(of: digest)?.size
    }

    /// What lies in the content folder, whichever namespace it belongs to; nothing where no folder is within reach.
    public func contentsOnDisk() async throws -> [StoredContent] {
        try await folder?.contents() ?? []
    }

    /// Opens content in containerd's content folder, or gives `nil` when it is not there, may not be read, or no
    /// folder is known.
    public func openFile(_ digest: Digest) throws -> ContentFile? {
        try folder?.open(digest)
    }

    /// Opens content over gRPC, or gives `nil` when it is not held. It is read in chunks of 1 MiB, each asked for when
    /// the one before has been taken.
    public func openReader(_ digest: Digest) async throws -> (any ContentReader)? {
        try await connection.reader(of: digest)
    }

    /// What changes from now on: containerd's events on images and content.
    ///
    /// The first change is always ``ContentStore/StoreChange/unknown``: it comes once the events are subscribed to, so
    /// that whoever reads everything upon it misses nothing. Content that containerd collects as garbage is told by no
    /// event; it may follow the deletion of an image. When containerd goes away or the store is closed the stream
    /// throws. It may be iterated over once.
    public func changes() -> AsyncThrowingStream<StoreChange, any Error> {
        let watch = ChangeWatch(connection: connection, limit: Self.maximumWaitingChanges)
        return AsyncThrowingStream { try await watch.next() }
    }

    private func descriptor(of image: Containerd_Services_Images_V1_Image) -> Descriptor? {
        do {
            let digest = try Digest(image.target.digest)
            return Descriptor(mediaType: MediaType(image.target.mediaType), digest: digest, size: image.target.size)
        } catch {
            logger.debug("left out an image", metadata: ["image": "\(image.name)", "reason": "\(error)"])
            return nil
        }
    }
}
