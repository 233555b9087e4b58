import Glibc

/// The file with a node's private key, `<data directory>/private.key`, which preserves the peer id across restarts.
public struct IdentityFile: Sendable {
    /// The directory that holds the file.
    public let directory: String
    /// The file with the key, in PKCS#8 PEM.
    public let path: String

    /// The file in `dataDirectory`. The file system is not accessed yet.
    public init(dataDirectory: String) {
        var directory = dataDirectory
        while directory.utf8.count > 1, directory.hasSuffix("/") { directory.removeLast() }
        self.directory = directory
        self.path = directory == "/" ? "/private.key" : directory + "/private.key"
    }

    /// Reads the key, or creates one if the file does not exist.
    ///
    /// A new file has mode 0600 and is written atomically. A missing data directory is created with mode 0700.
    ///
    /// - Throws: ``IdentityError/file(path:operation:reason:)`` or ``IdentityError/unusableKeyFile(path:cause:)``. A
    ///   file without a usable key is never overwritten.
    public func loadOrCreate() throws(IdentityError) -> KeyPair {
        if let key = try load() { return key }
        let key = KeyPair()
        try createDirectory(directory, mode: 0o700)
        try write(key.pem, to: path)
        return key
    }

    /// Reads the key. Returns `nil` if the file does not exist.
    ///
    /// - Throws: as ``loadOrCreate()``.
    public func load() throws(IdentityError) -> KeyPair? {
        guard let text = try read(path) else { return nil }
        do {
            return try KeyPair(pem: text)
        } catch {
            throw .unusableKeyFile(path: path, cause: error)
        }
    }

    func read(_ path: String) throws(IdentityError) -> String? {
        // Without O_NONBLOCK, opening a named pipe would wait for a writer.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw failure("read", path)
        }
        defer { _ = close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("read", path) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw .file(path: path, operation: "read", reason: "not a regular file")
        }
        var bytes = [UInt8](repeating: 0, count: KeyPair.maximumPEMLength + 1)
        var count = 0
        while count < bytes.count {
            let result = bytes.withUnsafeMutableBytes { buffer in
                Glibc.read(descriptor, buffer.baseAddress.map { $0 + count }, buffer.count - count)
            }
            if result == 0 { break }
            if result > 0 { count += result } else if errno != EINTR { throw failure("read", path) }
        }
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }

    /// Writes a file atomically, with mode 0600.
    func write(_ text: String, to path: String) throws(IdentityError) {
        let temporary = path + ".tmp"
        // Replaces the leftover of an interrupted start. O_EXCL then ensures that the file is new.
        _ = unlink(temporary)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("create", temporary) }
        do throws(IdentityError) {
            defer { _ = close(descriptor) }
            // The umask applies to the mode of open, and could even remove rights of the owner.
            guard fchmod(descriptor, 0o600) == 0 else { throw failure("create", temporary) }
            try write(Array(text.utf8), to: descriptor, temporary)
            guard fsync(descriptor) == 0 else { throw failure("write", temporary) }
        } catch {
            _ = unlink(temporary)
            throw error
        }
        guard rename(temporary, path) == 0 else {
            let error = failure("create", path)
            _ = unlink(temporary)
            throw error
        }
        // The name is durable after this. Not every file system supports it, and the file is in place already, so that a
        // failure is ignored.
        let parent = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard parent >= 0 else { return }
        _ = fsync(parent)
        _ = close(parent)
    }

    private func write(_ bytes: [UInt8], to descriptor: Int32, _ path: String) throws(IdentityError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let result = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if result >= 0 {
                rest = rest.dropFirst(result)
            } else if errno != EINTR {
                throw failure("write", path)
            }
        }
    }

    /// Creates a missing directory and its missing parents (with the usual mode 0755).
    private func createDirectory(_ directory: String, mode: mode_t) throws(IdentityError) {
        if mkdir(directory, mode) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = directory.lastIndex(of: "/"), slash != directory.startIndex else {
            throw failure("create directory", directory)
        }
        try createDirectory(String(directory[..<slash]), mode: 0o755)
        guard mkdir(directory, mode) == 0 || errno == EEXIST else { throw failure("create directory", directory) }
    }

    /// The error of the last system call.
    func failure(_ operation: String, _ path: String) -> IdentityError {
        .file(path: path, operation: operation, reason: String(cString: strerror(errno)))
    }
}
