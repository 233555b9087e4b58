import ContentStore
import Glibc
import OCI

/// containerd's content folder (`<root>/io.containerd.content.v1.content`).
///
/// Files are found by digest alone, in all namespaces of containerd. That is safe, because a digest is known only to
/// those who know the content.
struct ContentFolder: Sendable {
    /// The path of the folder.
    let path: String

    /// The path of the blob with a digest.
    func blobPath(_ digest: Digest) -> String {
        "\(path)/blobs/\(digest.algorithm.rawValue)/\(digest.hex)"
    }

    /// The maximum number of listed blobs. The rest is ignored.
    static let maximumContents = 1_000_000

    /// All blobs of the folder; none without permission to read it.
    func contents() async throws -> [StoredContent] {
        guard access(path + "/blobs", R_OK | X_OK) == 0 else { return [] }
        return try await BlobsFolder.contents(of: path + "/blobs", limit: Self.maximumContents)
    }

    /// Opens the blob with a digest. Returns `nil` when it is missing or not readable.
    func open(_ digest: Digest) throws(ContentError) -> ContentFile? {
        do {
            return try ContentFile.open(path: blobPath(digest))
        } catch .system(_, _, EACCES), .system(_, _, EPERM) {
            return nil
        }
    }

    /// One line with the problem of the folder and what to do, or `nil` when it is usable.
    ///
    /// - Parameter held: a digest that containerd has, to check that the folder belongs to it.
    func problem(held: Digest?) -> String? {
        let blobs = path + "/blobs"
        guard access(blobs, R_OK | X_OK) == 0 else {
            let number = errno
            switch number {
            case ENOENT, ENOTDIR:
                return "expected containerd's content folder at \(path), found no folder blobs in it: "
                    + "give \(ContainerdStore.Defaults.contentPath), or its mount point"
            case EACCES, EPERM:
                return "permission denied for containerd's content folder \(path): run as root to read it"
            default:
                return "cannot read containerd's content folder \(path): \(systemErrorText(number))"
            }
        }
        guard let held else { return nil }
        guard access(blobPath(held), R_OK) == 0 else {
            return "expected containerd's content folder at \(path), but it lacks \(held): "
                + "give the content folder of this containerd, usually \(ContainerdStore.Defaults.contentPath)"
        }
        return nil
    }
}
