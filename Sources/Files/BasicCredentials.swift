internal import FoundationEssentials

/// A user name and a password as HTTP's basic scheme has them. RFC 7617.
///
/// They come from a folder with the files `username` and `password`, which is how Kubernetes mounts a Secret of the
/// type `kubernetes.io/basic-auth`.
public struct BasicCredentials: Hashable, Sendable {
    /// Where the Secret is mounted unless something else is said.
    public static let usualFolder = "/etc/secrets/basic-auth"

    /// The largest file that is read, in bytes.
    static let maximumSize = 1 << 10

    /// The user name, which may be empty.
    public let username: String
    /// The password, which may be empty.
    public let password: String

    /// Why the files of a folder are no credentials. The descriptions never show what is in the files.
    public enum ReadError: Error, Hashable, CustomStringConvertible {
        /// The text is no UTF-8, or has control characters, which the scheme does not allow.
        case invalidText(path: String)
        /// The user name has a colon, which ends it.
        case colonInUsername(path: String)
        /// A file could not be read.
        case unreadable(FileError)

        /// The error in words.
        public var description: String {
            switch self {
            case .invalidText(let path): "\(path): expected a text of one line without control characters"
            case .colonInUsername(let path): "\(path): a user name may have no colon"
            case .unreadable(let error): error.description
            }
        }
    }

    /// Makes credentials.
    public init(username: String, password: String) {
        self.username = username
        self.password = password
    }

    /// Reads the files of a folder; `nil` when it is not there, or both files are absent or empty.
    ///
    /// One of the two files may be missing. A single line end at the end of a file does not belong to its text.
    public static func read(folder: String) throws(ReadError) -> BasicCredentials? {
        let username = try text(folder + "/username")
        let password = try text(folder + "/password")
        guard !username.utf8.contains(UInt8(ascii: ":")) else { throw .colonInUsername(path: folder + "/username") }
        if username.isEmpty, password.isEmpty { return nil }
        return BasicCredentials(username: username, password: password)
    }

    /// The value of the field `Authorization`.
    public var headerValue: String {
        "Basic " + Data("\(username):\(password)".utf8).base64EncodedString()
    }

    private static func text(_ path: String) throws(ReadError) -> String {
        var bytes: [UInt8]
        do {
            bytes = try Files.read(path, limit: maximumSize) ?? []
        } catch {
            throw .unreadable(error)
        }
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        guard let text = String(validating: bytes, as: UTF8.self),
            text.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control })
        else { throw .invalidText(path: path) }
        return text
    }
}
