import Files
import FoundationEssentials

/// A user name and a password as HTTP's basic scheme has them. RFC 7617.
///
/// They come from a folder with the files `username` and `password`, which is how Kubernetes mounts a Secret of the
/// type `kubernetes.io/basic-auth`. The files count byte for byte, as with Spegel v0.7: a line end belongs to them.
struct BasicCredentials: Hashable {
    /// Where the Secret is mounted unless something else is said.
    static let usualFolder = "/etc/secrets/basic-auth"

    /// The largest file that is read, in bytes.
    static let maximumSize = 1 << 10

    let username: [UInt8]
    let password: [UInt8]

    /// Why the files of a folder are no credentials. The descriptions never show what is in the files.
    enum ReadError: Error, Hashable, CustomStringConvertible {
        /// The folder has one of the files only, or an empty one.
        case missing(path: String)
        /// The user name has a colon, which ends it.
        case colonInUsername(path: String)
        /// A file could not be read.
        case unreadable(FileError)

        var description: String {
            switch self {
            case .missing(let path): "\(path) is missing or empty; basic authentication needs username and password"
            case .colonInUsername(let path): "\(path) has a colon, which a user name may not (RFC 7617)"
            case .unreadable(let error): error.description
            }
        }
    }

    /// Reads the files of a folder; `nil` when it is not there.
    static func read(folder: String) throws -> BasicCredentials? {
        guard try Files.status(folder, followLinks: true) != nil else { return nil }
        let username = try bytes(folder + "/username")
        let password = try bytes(folder + "/password")
        guard !username.contains(UInt8(ascii: ":")) else {
            throw ReadError.colonInUsername(path: folder + "/username")
        }
        return BasicCredentials(username: username, password: password)
    }

    /// The value of the field `Authorization`.
    var headerValue: String {
        "Basic " + Data(username + [UInt8(ascii: ":")] + password).base64EncodedString()
    }

    private static func bytes(_ path: String) throws(ReadError) -> [UInt8] {
        let bytes: [UInt8]?
        do {
            bytes = try Files.read(path, limit: maximumSize)
        } catch {
            throw .unreadable(error)
        }
        guard let bytes, !bytes.isEmpty else { throw .missing(path: path) }
        return bytes
    }
}
