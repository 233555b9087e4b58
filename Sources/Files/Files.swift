import Glibc

/// Files and folders, read within bounds and written so that a crash leaves the old or the new content.
public enum Files {
    /// What is at a path; symbolic links are not followed.
    public struct Status: Hashable, Sendable {
        /// The kinds of entries that are told apart.
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

        /// What kind of entry it is.
        public var kind: Kind
        /// The size in bytes.
        public var size: Int64
        /// The permission bits.
        public var mode: UInt32
        /// Tells two states of a file apart: it changes when the file is replaced or written.
        public var stamp: Stamp
    }

    /// Tells two states of a file or folder apart.
    public struct Stamp: Hashable, Sendable {
        var device: UInt64
        var node: UInt64
        var size: Int64
        var seconds: Int
        var nanoseconds: Int
    }

    /// What is at a path, or `nil` when there is nothing.
    public static func status(_ path: String, followLinks: Bool = false) throws(FileError) -> Status? {
        var raw = stat()
        guard fstatat(AT_FDCWD, path, &raw, followLinks ? 0 : AT_SYMLINK_NOFOLLOW) == 0 else {
            let number = errno
            if number == ENOENT || number == ENOTDIR { return nil }
            throw FileError(operation: "examine", path: path, errno: number)
        }
        return Status(raw)
    }

    /// Reads a whole file, following symbolic links, or gives `nil` when there is none.
    ///
    /// - Parameter limit: the most bytes that are read; a larger file is an error (`EFBIG`).
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

    /// Replaces a file by one with this content: written beside it, flushed to the disk, then renamed over it.
    public static func replace(_ path: String, with bytes: [UInt8], mode: UInt32 = 0o644) throws(FileError) {
        let file = try TemporaryFile(besides: path, mode: mode)
        try file.write(bytes)
        try file.rename(to: path)
    }

    /// Makes a folder and those above it that are missing.
    public static func makeFolder(_ path: String, mode: UInt32 = 0o755) throws(FileError) {
        if mkdir(path, mode) == 0 { return }
        let number = errno
        switch number {
        case EEXIST:
            guard try status(path, followLinks: true)?.kind == .folder else {
                throw FileError(operation: "make the folder", path: path, errno: ENOTDIR)
            }
        case ENOENT:
            guard let parent = parent(of: path) else {
                throw FileError(operation: "make the folder", path: path, errno: number)
            }
            try makeFolder(parent, mode: mode)
            guard mkdir(path, mode) == 0 || errno == EEXIST else {
                throw FileError(operation: "make the folder", path: path, errno: errno)
            }
        default:
            throw FileError(operation: "make the folder", path: path, errno: number)
        }
    }

    /// Renames an entry, over a file of the new name if there is one.
    public static func rename(_ old: String, to new: String) throws(FileError) {
        guard Glibc.rename(old, new) == 0 else {
            throw FileError(operation: "rename to \(new) the entry", path: old, errno: errno)
        }
    }

    /// Removes a file, a link or a folder with all that is in it; what is not there is no error.
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

    /// Flushes a folder's entries to the disk, so that a rename in it outlives a loss of power.
    public static func flushFolder(_ path: String) throws(FileError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_DIRECTORY)
        guard descriptor >= 0 else { throw FileError(operation: "open", path: path, errno: errno) }
        defer { close(descriptor) }
        // Some file systems cannot flush folders and say so with EINVAL.
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
        stamp = Files.Stamp(
            device: UInt64(raw.st_dev),
            node: UInt64(raw.st_ino),
            size: Int64(raw.st_size),
            seconds: raw.st_mtim.tv_sec,
            nanoseconds: raw.st_mtim.tv_nsec
        )
    }
}
