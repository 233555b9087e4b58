import Files
import OCI

@testable import ContentStore

extension ImageLayoutWriter {
    /// Removes an image name from the index; its content stays.
    func removeImage(_ name: Reference) throws {
        try updateIndex { manifests in
            manifests.removeAll { Self.name(of: $0) == name.description }
        }
    }

    /// Removes a blob. A missing blob is no error.
    func removeBlob(_ digest: Digest) throws {
        try Files.remove(layout.blobFile(digest))
    }
}
