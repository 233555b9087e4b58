import Glibc

/// Bounded reads of files and folders, and atomic writes: a crash leaves the old or the new content.
public enum Files {
    /// The metadata of the entry at a path. Symbolic links are not followed.
    public struct Status: Hashable, Sendable {
        /// The kind of an entry.
        public enum Kind: Hashable, Sendable {
            /// A regular file.
            case file
            /// A folder.
            case folder
            /// A symbolic link.
            case link
            /// Anything else.
            case other
        }

        /// The kind of the entry.
        public var kind: Kind
        /// The size in bytes.
        public var size: Int64
        /// The permission bits.
        public var mode: UInt32
        /// The number of names (hard links) of the file.
        public var linkCount: UInt64
        /// The user and group.
        public var owner: Owner
        /// The time of the last change of the content.
        public var modified: Time
        /// Changes when the file is replaced or written.
        public var stamp: Stamp
    }

    /// A user and a group.
    public struct Owner: Hashable, Sendable {
        var user: UInt32
        var group: UInt32
    }

    /// A time of the file system.
    public struct Time: Hashable, Sendable {
        var seconds: Int
        var nanoseconds: Int
    }

    /// A value that differs between two states of a file or folder.
    public struct Stamp: Hashable, Sendable {
        var device: UInt64
        var node: UInt64
        var size: Int64
        var seconds: Int
        var nanoseconds: Int

        /// Whether both are states of the same file or folder, and not of one that took its place.
        public func isSameEntry(as other: Stamp) -> Bool {
            device == other.device && node == other.node
        }
    }

    /// The metadata of the entry at a path, or `nil` when the path does not exist.
    public static func status(_ path: String, followLinks: Bool = false) throws(FileError) -> Status? {
        var raw = stat()
        guard fstatat(AT_FDCWD, path, &raw, followLinks ? 0 : AT_SYMLINK_NOFOLLOW) == 0 else {
            let number = errno
            if number == ENOENT || number == ENOTDIR { return nil }
            throw FileError(operation: "examine", path: path, errno: number)
        }
        return Status(raw)
    }

    /// Reads a whole file and follows symbolic links. Returns `nil` when the file does not exist.
    ///
    /// - Parameter limit: the maximum size in bytes; a larger file is an error (`EFBIG`).
    public static func read(_ path: String, limit: Int) throws(FileError) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            let number = errno
            if number == ENOENT || number == ENOTDIR { return nil }
            throw FileError(operation: "open", path: path, errno: number)
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw FileError(operation: "read", path: path, errno: errno) }
            guard count > 0 else { return bytes }
            guard bytes.count + count <= limit else { throw FileError(operation: "read", path: path, errno: EFBIG) }
            bytes.append(contentsOf: buffer[..<count])
        }
    }

    /// Replaces a file atomically: writes a temporary file beside it, flushes that to disk, then renames it.
    public static func replace(_ path: String, with bytes: [UInt8], mode: UInt32 = 0o644) throws(FileError) {
        let file = try TemporaryFile(besides: path, mode: mode)
        try file.write(bytes)
        try file.rename(to: path)
    }

    /// Creates a folder and its missing parents.
    public static func makeFolder(_ path: String, mode: UInt32 = 0o755) throws(FileError) {
        if mkdir(path, mode) == 0 { return }
        let number = errno
        switch number {
        case EEXIST:
            guard try status(path, followLinks: true)?.kind == .folder else {
                throw FileError(operation: "create the folder", path: path, errno: ENOTDIR)
            }
        case ENOENT:
            guard let parent = parent(of: path) else {
                throw FileError(operation: "create the folder", path: path, errno: number)
            }
            try makeFolder(parent, mode: mode)
            guard mkdir(path, mode) == 0 || errno == EEXIST else {
                throw FileError(operation: "create the folder", path: path, errno: errno)
            }
        default:
            throw FileError(operation: "create the folder", path: path, errno: number)
        }
    }

    /// Renames an entry and replaces an existing entry of the new name.
    public static func rename(_ old: String, to new: String) throws(FileError) {
        guard Glibc.rename(old, new) == 0 else {
            throw FileError(operation: "rename", path: "\(old) to \(new)", errno: errno)
        }
    }

    /// Removes a file, a link, or a folder with its content. A missing entry is no error.
    public static func remove(_ path: String) throws(FileError) {
        guard try status(path)?.kind == .folder else {
            guard unlink(path) == 0 || errno == ENOENT else {
                throw FileError(operation: "remove", path: path, errno: errno)
            }
            return
        }
        for name in try names(in: path) ?? [] {
            try remove(path + "/" + name)
        }
        guard rmdir(path) == 0 || errno == ENOENT else {
            throw FileError(operation: "remove the folder", path: path, errno: errno)
        }
    }

    /// Flushes a folder's entries to disk, so that a rename in it survives a power failure.
    public static func flushFolder(_ path: String) throws(FileError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_DIRECTORY)
        guard descriptor >= 0 else { throw FileError(operation: "open", path: path, errno: errno) }
        defer { close(descriptor) }
        // Some file systems cannot flush folders and return EINVAL.
        guard fsync(descriptor) == 0 || errno == EINVAL else {
            throw FileError(operation: "flush", path: path, errno: errno)
        }
    }

    /// The path of the folder that holds an entry, or `nil` for a bare name or the root.
    public static func parent(of path: String) -> String? {
        var rest = path[...]
        while rest.utf8.count > 1, rest.utf8.last == UInt8(ascii: "/") { rest.removeLast() }
        guard let slash = rest.utf8.lastIndex(of: UInt8(ascii: "/")) else { return nil }
        let parent = rest[..<slash]
        if parent.isEmpty { return rest.utf8.count > 1 ? "/" : nil }
        return String(parent)
    }
}

extension Files.Status {
    init(_ raw: stat) {
        kind =
            switch raw.st_mode & S_IFMT {
            case S_IFREG: .file
            case S_IFDIR: .folder
            case S_IFLNK: .link
            default: .other
            }
        size = Int64(raw.st_size)
        mode = raw.st_mode & 0o7777
        linkCount = UInt64(raw.st_nlink)
        owner = Files.Owner(user: raw.st_uid, group: raw.st_gid)
        modified = Files.Time(seconds: raw.st_mtim.tv_sec, nanoseconds: raw.st_mtim.tv_nsec)
        stamp = Files.Stamp(
            device: UInt64(raw.st_dev),
            node: UInt64(raw.st_ino),
            size: Int64(raw.st_size),
            seconds: raw.st_mtim.tv_sec,
            nanoseconds: raw.st_mtim.tv_nsec
        )
    }
}
