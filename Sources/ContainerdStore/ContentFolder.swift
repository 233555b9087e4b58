import ContentStore
import Glibc
import OCI

/// containerd's content folder (`<root>/io.containerd.content.v1.content`), as far as it is within reach.
///
/// Files are found by digest alone. One may belong to another namespace of containerd; that does no harm, since
/// whoever knows a digest knows what the content is.
struct ContentFolder: Sendable {
    /// The path of the folder.
    let path: String

    /// The path of the file that holds content, if it is held.
    func blobPath(_ digest: Digest) -> String {
        "\(path)/blobs/\(digest.algorithm.rawValue)/\(digest.hex)"
    }

    /// The most content that is listed; what the folder holds beyond is not seen.
    static let maximumContents = 1_000_000

    /// All content that the folder holds; nothing where it may not be read.
    func contents() async throws -> [StoredContent] {
        guard access(path + "/blobs", R_OK | X_OK) == 0 else { return [] }
        return try await BlobsFolder.contents(of: path + "/blobs", limit: Self.maximumContents)
    }

    /// Opens the file that holds content, or gives `nil` when it is not there or may not be read.
    func open(_ digest: Digest) throws(ContentError) -> ContentFile? {
        do {
            return try ContentFile.open(path: blobPath(digest))
        } catch .system(_, _, EACCES), .system(_, _, EPERM) {
            return nil
        }
    }

    /// Why content cannot be read from the folder, in one line that says what to do, or `nil` when it can.
    ///
    /// - Parameter held: some content that containerd is known to hold, to find out whether this is the folder of
    ///   that containerd.
    func problem(held: Digest?) -> String? {
        let blobs = path + "/blobs"
        guard access(blobs, R_OK | X_OK) == 0 else {
            let number = errno
            switch number {
            case ENOENT, ENOTDIR:
                return "\(path) is not containerd's content folder (it has no folder blobs): "
                    + "give \(Self.usualPath), or where it is mounted"
            case EACCES, EPERM:
                return "permission denied for containerd's content folder \(path): run as root to read it"
            default:
                return "containerd's content folder \(path) cannot be read: \(systemErrorText(number))"
            }
        }
        guard let held else { return nil }
        guard access(blobPath(held), R_OK) == 0 else {
            return "\(path) lacks \(held), which containerd holds: "
                + "give the content folder of the containerd that is asked, usually \(Self.usualPath)"
        }
        return nil
    }

    private static let usualPath = "/var/lib/containerd/io.containerd.content.v1.content"
}
