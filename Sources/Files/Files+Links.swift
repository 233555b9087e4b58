import Glibc

extension Files {
    /// The target of a symbolic link, as it is written there; `nil` when the path is no link.
    public static func linkTarget(_ path: String) throws(FileError) -> String? {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = buffer.withUnsafeMutableBytes { bytes in
            bytes.withMemoryRebound(to: CChar.self) { $0.baseAddress.map { readlink(path, $0, bytes.count) } ?? -1 }
        }
        guard count >= 0 else {
            let number = errno
            if number == EINVAL || number == ENOENT || number == ENOTDIR { return nil }
            throw FileError(operation: "read the link", path: path, errno: number)
        }
        return String(decoding: buffer.prefix(count), as: UTF8.self)
    }

    /// Creates a symbolic link.
    public static func makeLink(_ path: String, to target: String) throws(FileError) {
        guard symlink(target, path) == 0 else {
            throw FileError(operation: "make the link", path: path, errno: errno)
        }
    }

    /// Gives a file or a link a second name, or copies it where the file system or the permissions allow no second name. The copy
    /// has the mode and time of the original, and its owner where this process may set that.
    ///
    /// - Parameter limit: the maximum size to copy in bytes; a larger file is an error (`EFBIG`).
    public static func duplicate(_ path: String, to new: String, limit: Int) throws(FileError) {
        if link(path, new) == 0 { return }
        let number = errno
        guard [EPERM, EXDEV, EMLINK, ENOTSUP, ENOSYS, EACCES].contains(number) else {
            throw FileError(operation: "link", path: "\(path) to \(new)", errno: number)
        }
        guard let status = try status(path) else { throw FileError(operation: "read", path: path, errno: ENOENT) }
        if status.kind == .link {
            try makeLink(new, to: try linkTarget(path) ?? "")
            try? setOwner(new, to: status.owner)
            return try setTime(new, to: status.modified)
        }
        guard let bytes = try read(path, limit: limit) else {
            throw FileError(operation: "read", path: path, errno: ENOENT)
        }
        let file = try TemporaryFile(besides: new, mode: status.mode)
        try file.write(bytes)
        try? setOwner(file.path, to: status.owner)
        try setTime(file.path, to: status.modified)
        try file.rename(to: new)
    }

    /// Sets the time of the last change of an entry. Symbolic links are not followed.
    public static func setTime(_ path: String, to time: Time) throws(FileError) {
        // UTIME_OMIT, a macro that Swift does not import: the time of the last access stays.
        let omitted = timespec(tv_sec: 0, tv_nsec: (1 << 30) - 2)
        let times = [omitted, timespec(tv_sec: time.seconds, tv_nsec: time.nanoseconds)]
        guard utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) == 0 else {
            throw FileError(operation: "set the time of", path: path, errno: errno)
        }
    }

    /// Sets the permission bits of a file or folder.
    public static func setMode(_ path: String, to mode: UInt32) throws(FileError) {
        guard chmod(path, mode) == 0 else {
            throw FileError(operation: "set the mode of", path: path, errno: errno)
        }
    }

    /// Sets the owner of an entry. Symbolic links are not followed.
    public static func setOwner(_ path: String, to owner: Owner) throws(FileError) {
        guard lchown(path, owner.user, owner.group) == 0 else {
            throw FileError(operation: "set the owner of", path: path, errno: errno)
        }
    }

    /// Removes a folder. A missing folder, and one with something in it, is no error.
    public static func removeEmptyFolder(_ path: String) throws(FileError) {
        guard rmdir(path) == 0 || [ENOENT, ENOTEMPTY, EEXIST].contains(errno) else {
            throw FileError(operation: "remove the folder", path: path, errno: errno)
        }
    }
}
