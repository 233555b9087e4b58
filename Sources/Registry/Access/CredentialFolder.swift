import Files

/// A folder with the files `username` and `password`, as Kubernetes mounts a Secret of the type
/// `kubernetes.io/basic-auth`.
///
/// The files count byte for byte, as with Spegel v0.7: a line break at the end is part of what is in it.
public struct CredentialFolder: Sendable {
    /// Where Spegel v0.7 looks as well.
    public static let standardPath = "/etc/secrets/basic-auth"

    private static let names = ["username", "password"]

    /// What is wrong with the folder.
    public enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
        /// The folder was named but is not there.
        case noFolder(String)
        /// A file is missing.
        case noFile(folder: String, name: String)
        /// A file is empty.
        case empty(String)
        /// A file is too long.
        case tooLong(String)
        /// The name holds a colon.
        case colon(String)
        /// The operating system refuses to read it.
        case unreadable(FileError)
        /// The files changed each time that they were read.
        case restless(String)

        /// What was expected, and what to do.
        public var description: String {
            let advice = "Basic authentication needs a folder with the files username and password"
            return switch self {
            case .noFolder(let path):
                "there is no folder \(path). \(advice); without --basic-auth-dir and without "
                    + "\(CredentialFolder.standardPath) there is none"
            case .noFile(let folder, let name): "\(folder) has no file \(name). \(advice)"
            case .empty(let path): "\(path) is empty. \(advice)"
            case .tooLong(let path): "\(path) has more than \(Credentials.maximumLength) bytes"
            case .colon(let path): "\(path) holds a colon, which the name of a user must not (RFC 7617)"
            case .unreadable(let error): "\(error). \(advice)"
            case .restless(let path): "the files in \(path) change all the time"
            }
        }
    }

    /// The path.
    public let path: String

    /// The folder at a path.
    public init(_ path: String) {
        self.path = path
    }

    /// Whether there is anything at the path, as far as can be told: what cannot be looked at counts as there.
    public var exists: Bool {
        do {
            return try Files.status(path, followLinks: true) != nil
        } catch {
            return true
        }
    }

    /// Reads both files as they were at one moment.
    ///
    /// - Returns: what they hold, and whether either ends in a line break.
    public func read() throws(Failure) -> (credentials: Credentials, endsInLineBreak: Bool) {
        // The kubelet replaces all files of a secret at once, by one rename. Whatever came between is seen by this.
        for _ in 0..<5 {
            let first = try readFiles()
            guard try readFiles() == first else { continue }
            guard let credentials = Credentials(username: first[0], password: first[1]) else {
                throw .colon(path + "/username")
            }
            return (credentials, first.contains { $0.last == UInt8(ascii: "\n") })
        }
        throw .restless(path)
    }

    private func readFiles() throws(Failure) -> [[UInt8]] {
        var contents: [[UInt8]] = []
        for name in Self.names {
            let file = path + "/" + name
            do {
                guard let bytes = try Files.read(file, limit: Credentials.maximumLength) else {
                    throw exists ? Failure.noFile(folder: path, name: name) : .noFolder(path)
                }
                guard !bytes.isEmpty else { throw Failure.empty(file) }
                contents.append(bytes)
            } catch let error as FileError {
                throw error.isTooLong ? .tooLong(file) : .unreadable(error)
            } catch let failure as Failure {
                throw failure
            } catch {
                throw .restless(path)
            }
        }
        return contents
    }
}
