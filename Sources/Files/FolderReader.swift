import Glibc

/// Reads the entries of a folder one by one, in constant memory.
public final class FolderReader {
    private let stream: OpaquePointer
    private let path: String

    /// Opens a folder. Returns `nil` when the path does not exist.
    public init?(_ path: String) throws(FileError) {
        guard let stream = opendir(path) else {
            let number = errno
            if number == ENOENT || number == ENOTDIR { return nil }
            throw FileError(operation: "open the folder", path: path, errno: number)
        }
        self.stream = stream
        self.path = path
    }

    deinit {
        closedir(stream)
    }

    /// The name of the next entry, or `nil` at the end. Skips `.`, `..` and names that are not UTF-8.
    public func next() throws(FileError) -> String? {
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                guard errno == 0 else { throw FileError(operation: "list", path: path, errno: errno) }
                return nil
            }
            guard let offset = MemoryLayout<dirent>.offset(of: \.d_name) else { return nil }
            let start = UnsafeRawPointer(entry).advanced(by: offset).assumingMemoryBound(to: CChar.self)
            guard let name = String(validatingCString: start), name != ".", name != ".." else { continue }
            return name
        }
    }

    /// The metadata of an entry of this folder, or `nil` when the entry no longer exists.
    ///
    /// - Parameter followLinks: whether a link stands for its target. A link that leads nowhere is `nil`.
    public func status(of name: String, followLinks: Bool = false) throws(FileError) -> Files.Status? {
        var raw = stat()
        guard fstatat(dirfd(stream), name, &raw, followLinks ? 0 : AT_SYMLINK_NOFOLLOW) == 0 else {
            let number = errno
            if number == ENOENT { return nil }
            if followLinks, [ENOTDIR, ELOOP, EACCES].contains(number) { return nil }
            throw FileError(operation: "examine", path: path + "/" + name, errno: number)
        }
        return Files.Status(raw)
    }
}

extension Files {
    /// The sorted names of a folder's entries, or `nil` when the folder does not exist.
    ///
    /// - Parameter limit: the maximum number of entries; more are an error (`E2BIG`).
    public static func names(in path: String, limit: Int = 100_000) throws(FileError) -> [String]? {
        guard let reader = try FolderReader(path) else { return nil }
        var names: [String] = []
        while let name = try reader.next() {
            guard names.count < limit else { throw FileError(operation: "list", path: path, errno: E2BIG) }
            names.append(name)
        }
        return names.sorted()
    }
}
