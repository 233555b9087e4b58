import Files
import OCI

/// A folder `blobs` in which each piece of content stands under its digest, `ALGORITHM/HEX`: that of an image layout,
/// and that of containerd.
package enum BlobsFolder {
    /// The files that stand under a digest, at most `limit` of them; none where there is no such folder.
    package static func contents(of path: String, limit: Int) async throws -> [StoredContent] {
        var contents: [StoredContent] = []
        for algorithm in Digest.Algorithm.allCases {
            guard let folder = try FolderReader("\(path)/\(algorithm.rawValue)") else { continue }
            while contents.count < limit, let name = try folder.next() {
                guard let digest = try? Digest(algorithm.rawValue + ":" + name),
                    let status = try folder.status(of: name), status.kind == .file
                else { continue }
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
