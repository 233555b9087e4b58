import Glibc

/// A file that is written beside its target and then renamed to it. Removed unless renamed.
public final class TemporaryFile {
    /// The prefix of the names of temporary files.
    public static let prefix = ".tmp-"

    /// The path of the temporary file.
    public let path: String
    private let descriptor: Int32
    private var isInPlace = false

    /// Creates an empty file in the folder of `target`.
    ///
    /// - Parameter mode: the permission bits; the process's umask does not apply.
    public init(besides target: String, mode: UInt32 = 0o644) throws(FileError) {
        let folder = Files.parent(of: target) ?? "."
        var attempt = 0
        while true {
            let random = String(UInt64.random(in: .min ... .max), radix: 36)
            let path = folder + "/" + Self.prefix + random
            let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
            if descriptor < 0, errno == EEXIST, attempt < 10 {
                attempt += 1
                continue
            }
            guard descriptor >= 0 else { throw FileError(operation: "make", path: path, errno: errno) }
            self.path = path
            self.descriptor = descriptor
            break
        }
        guard fchmod(descriptor, mode) == 0 else {
            throw FileError(operation: "set the mode of", path: path, errno: errno)
        }
    }

    deinit {
        if !isInPlace { unlink(path) }
        close(descriptor)
    }

    /// Appends bytes.
    public func write(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw FileError(operation: "write", path: path, errno: count < 0 ? errno : ENOSPC) }
            rest = rest.dropFirst(count)
        }
    }

    /// Appends bytes.
    public func write(_ bytes: [UInt8]) throws(FileError) {
        try bytes.withUnsafeBufferPointer { (buffer) throws(FileError) in
            try write(UnsafeRawBufferPointer(buffer))
        }
    }

    /// Flushes the content to disk and renames the file to `target`.
    public func rename(to target: String) throws(FileError) {
        guard fsync(descriptor) == 0 else { throw FileError(operation: "flush", path: path, errno: errno) }
        try Files.rename(path, to: target)
        isInPlace = true
        if let folder = Files.parent(of: target) { try Files.flushFolder(folder) }
    }
}
