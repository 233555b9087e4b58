import Files
import FoundationEssentials
import OCI

/// The paths in an OCI image-layout folder. OCI image-spec, "Image Layout Specification".
public struct ImageLayout: Hashable, Sendable {
    /// The supported version of the layout.
    public static let version = "1.0.0"
    /// The annotation with the name of an image in an index. By the specification this is a tag or any name; by custom
    /// it is often a full reference.
    public static let refNameAnnotation = "org.opencontainers.image.ref.name"
    /// The annotation with the full reference in containerd's exports.
    public static let containerdNameAnnotation = "io.containerd.image.name"

    /// The path of the folder.
    public let path: String

    /// Creates a layout at a path without reading anything.
    public init(path: String) {
        var path = path[...]
        while path.utf8.count > 1, path.utf8.last == UInt8(ascii: "/") { path.removeLast() }
        self.path = String(path)
    }

    /// The file that marks the folder as a layout and has its version.
    public var layoutFile: String { path + "/oci-layout" }
    /// The file that names the images.
    public var indexFile: String { path + "/index.json" }
    /// The folder of all blobs.
    public var blobsFolder: String { path + "/blobs" }

    /// The folder of the blobs with digests of an algorithm.
    public func blobsFolder(_ algorithm: Digest.Algorithm) -> String {
        blobsFolder + "/" + algorithm.rawValue
    }

    /// The file of a blob.
    public func blobFile(_ digest: Digest) -> String {
        blobsFolder(digest.algorithm) + "/" + digest.hex
    }

    /// Checks that the folder is a layout of the supported version.
    ///
    /// - Throws: ``ImageLayoutError``, or `FileError` when the folder cannot be read.
    public func validate() throws {
        guard try Files.status(path, followLinks: true)?.kind == .folder else {
            throw ImageLayoutError.notAFolder(path: path)
        }
        guard let bytes = try Files.read(layoutFile, limit: 1 << 16) else {
            throw ImageLayoutError.missingLayoutFile(path: path)
        }
        guard let marker = try? JSONDecoder().decode(Marker.self, from: Data(bytes)) else {
            throw ImageLayoutError.malformedLayoutFile(path: layoutFile)
        }
        guard marker.imageLayoutVersion == Self.version else {
            throw ImageLayoutError.unsupportedVersion(path: layoutFile, version: marker.imageLayoutVersion)
        }
    }

    struct Marker: Codable {
        var imageLayoutVersion: String
    }
}

/// An error from using a folder as an image layout.
public enum ImageLayoutError: LostContent, Hashable, CustomStringConvertible {
    /// The path is not a folder.
    case notAFolder(path: String)
    /// The folder has no `oci-layout` file.
    case missingLayoutFile(path: String)
    /// The `oci-layout` file is malformed.
    case malformedLayoutFile(path: String)
    /// The version of the layout is unsupported.
    case unsupportedVersion(path: String, version: String)
    /// The index is malformed.
    case malformedIndex(path: String, reason: String)
    /// Content has another digest than expected.
    case digestMismatch(expected: Digest, found: Digest)

    /// The error in words.
    public var description: String {
        switch self {
        case .notAFolder(let path):
            "expected an OCI image layout (a folder with the file oci-layout) at \(path), found no folder"
        case .missingLayoutFile(let path):
            "expected an OCI image layout at \(path): it has no file oci-layout"
        case .malformedLayoutFile(let path):
            "malformed \(path), expected {\"imageLayoutVersion\":\"\(ImageLayout.version)\"}"
        case .unsupportedVersion(let path, let version):
            "expected layout version \(ImageLayout.version) in \(path), got '\(version.prefix(64))'"
        case .malformedIndex(let path, let reason):
            "malformed \(path): \(reason)"
        case .digestMismatch(let expected, let found):
            "digest mismatch: expected \(expected), found \(found)"
        }
    }
}
