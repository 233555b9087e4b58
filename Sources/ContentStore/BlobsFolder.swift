import Files
import OCI

/// The folder `blobs` of an image layout or of containerd, with content at `ALGORITHM/HEX`.
package enum BlobsFolder {
    /// Lists at most `limit` files whose path is a digest. Returns none when the folder does not exist.
    ///
    /// - Parameters:
    ///   - followLinks: whether a link stands for its target. Otherwise links are not listed.
    ///   - ignored: called with the path of each entry that is named like content but is no file.
    package static func contents(
        of path: String,
        limit: Int,
        followLinks: Bool = false,
        ignored: (String) -> Void = { _ in }
    ) async throws -> [StoredContent] {
        var contents: [StoredContent] = []
        for algorithm in Digest.Algorithm.allCases {
            guard let folder = try FolderReader("\(path)/\(algorithm.rawValue)") else { continue }
            while contents.count < limit, let name = try folder.next() {
                guard let digest = try? Digest(algorithm.rawValue + ":" + name) else { continue }
                guard let status = try folder.status(of: name, followLinks: followLinks), status.kind == .file else {
                    ignored("\(path)/\(algorithm.rawValue)/\(name)")
                    continue
                }
                contents.append(StoredContent(digest: digest, size: status.size))
                if contents.count.isMultiple(of: 4096) {
                    try Task.checkCancellation()
                    await Task.yield()
                }
            }
        }
        return contents
    }
}
