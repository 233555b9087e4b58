import Files
import FoundationEssentials
import OCI

/// The shape of an OCI image-layout folder. OCI image-spec, "Image Layout Specification".
public struct ImageLayout: Hashable, Sendable {
    /// The version of the layout that is read and written.
    public static let version = "1.0.0"
    /// The annotation in which an index keeps the name of an image: by the specification a tag or any name, by
    /// custom often a full reference.
    public static let refNameAnnotation = "org.opencontainers.image.ref.name"
    /// The annotation in which containerd keeps the full reference when it exports an image.
    public static let containerdNameAnnotation = "io.containerd.image.name"

    /// The path of the folder.
    public let path: String

    /// Names a layout; nothing is read.
    public init(path: String) {
        var path = path[...]
        while path.utf8.count > 1, path.utf8.last == UInt8(ascii: "/") { path.removeLast() }
        self.path = String(path)
    }

    /// The file that says that the folder is a layout, and of which version.
    public var layoutFile: String { path + "/oci-layout" }
    /// The file that names the images.
    public var indexFile: String { path + "/index.json" }
    /// The folder of all content.
    public var blobsFolder: String { path + "/blobs" }

    /// The folder of the content whose digest is made by an algorithm.
    public func blobsFolder(_ algorithm: Digest.Algorithm) -> String {
        blobsFolder + "/" + algorithm.rawValue
    }

    /// The file of a piece of content.
    public func blobFile(_ digest: Digest) -> String {
        blobsFolder(digest.algorithm) + "/" + digest.hex
    }

    /// Checks that the folder is a layout of the version that is understood.
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

/// Why a folder cannot be used as an image layout.
public enum ImageLayoutError: Error, Hashable, CustomStringConvertible {
    /// There is no folder at the path.
    case notAFolder(path: String)
    /// The folder has no `oci-layout` file.
    case missingLayoutFile(path: String)
    /// The `oci-layout` file is not what the specification wants.
    case malformedLayoutFile(path: String)
    /// The layout is of another version.
    case unsupportedVersion(path: String, version: String)
    /// The index is not what the specification wants.
    case malformedIndex(path: String, reason: String)
    /// Content has another digest than it should have.
    case digestMismatch(expected: Digest, found: Digest)

    /// The error in words.
    public var description: String {
        switch self {
        case .notAFolder(let path):
            "\(path) is not a folder; expected an OCI image layout (a folder with the file oci-layout)"
        case .missingLayoutFile(let path):
            "\(path) is no OCI image layout: expected a file oci-layout in it"
        case .malformedLayoutFile(let path):
            "\(path) is malformed: expected {\"imageLayoutVersion\":\"\(ImageLayout.version)\"}"
        case .unsupportedVersion(let path, let version):
            "\(path) says version '\(version.prefix(64))', expected \(ImageLayout.version)"
        case .malformedIndex(let path, let reason):
            "\(path) is malformed: \(reason)"
        case .digestMismatch(let expected, let found):
            "the content should have the digest \(expected), it has \(found)"
        }
    }
}
