import Glibc

/// Reads the entries of a folder one after the other, without holding them all.
public final class FolderReader {
    private let stream: OpaquePointer
    private let path: String

    /// Opens a folder, or gives `nil` when there is none at the path.
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

    /// The name of the next entry, `nil` at the end. `.` and `..` are left out, and so are names that are not UTF-8.
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

    /// What an entry of this folder is, or `nil` when it is gone.
    public func status(of name: String) throws(FileError) -> Files.Status? {
        var raw = stat()
        guard fstatat(dirfd(stream), name, &raw, AT_SYMLINK_NOFOLLOW) == 0 else {
            let number = errno
            if number == ENOENT { return nil }
            throw FileError(operation: "examine", path: path + "/" + name, errno: number)
        }
        return Files.Status(raw)
    }
}

extension Files {
    /// The names of the entries of a folder in order, or `nil` when there is no such folder.
    ///
    /// - Parameter limit: the most entries that are taken; more are an error (`E2BIG`).
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
