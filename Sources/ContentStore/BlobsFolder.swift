import Files
import OCI

/// The folder `blobs` of an image layout or of containerd, with content at `ALGORITHM/HEX`.
package enum BlobsFolder {
    /// Lists at most `limit` files whose path is a digest. Returns none when the folder does not exist.
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
