import Glibc

/// Content in an open file. The file is closed with the last reference.
public final class ContentFile: Sendable {
    /// The file descriptor; valid as long as this object lives.
    public let fileDescriptor: Int32

    /// The size of the whole content in bytes.
    public let size: Int64

    /// The path for messages; the file may have been moved or replaced since it was opened.
    public let path: String

    /// The state of the file when it was opened.
    public let stamp: ContentStamp

    /// Takes ownership of an open file.
    init(takingOver fileDescriptor: Int32, path: String, stamp: ContentStamp) {
        self.fileDescriptor = fileDescriptor
        self.size = stamp.size
        self.path = path
        self.stamp = stamp
    }

    deinit {
        close(fileDescriptor)
    }

    /// Opens a regular file. Returns `nil` when the path does not exist or is no regular file.
    ///
    /// - Parameter followLinks: whether a link as the last component stands for its target. Without it, a link is an
    ///   error. A link that leads nowhere is `nil`.
    /// - Throws: ``ContentError/system(operation:path:errno:)`` for any other error of the operating system.
    public static func open(path: String, followLinks: Bool = false) throws(ContentError) -> ContentFile? {
        let flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | (followLinks ? 0 : O_NOFOLLOW)
        let descriptor = Glibc.open(path, flags)
        guard descriptor >= 0 else {
            let number = errno
            if number == ENOENT || number == ENOTDIR { return nil }
            if followLinks, number == ELOOP { return nil }
            throw .system(operation: "open", path: path, errno: number)
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let number = errno
            close(descriptor)
            throw .system(operation: "examine", path: path, errno: number)
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            return nil
        }
        return ContentFile(takingOver: descriptor, path: path, stamp: ContentStamp(status))
    }

    /// Reads the whole content.
    ///
    /// - Throws: ``ContentError/tooLarge(_:limit:)`` above the limit, ``ContentError/truncated(at:expected:)`` when the
    ///   file has shrunk since it was opened.
    public func readAll(limit: Int) throws(ContentError) -> [UInt8] {
        guard size <= limit else { throw .tooLarge(size, limit: limit) }
        let count = Int(size)
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
            done = 0
            while done < count {
                let result = pread(fileDescriptor, buffer.baseAddress.map { $0 + done }, count - done, off_t(done))
                if result < 0, errno == EINTR { continue }
                if result < 0 { failure = errno }
                guard result > 0 else { break }
                done += result
            }
        }
        guard failure == 0 else { throw .system(operation: "read", path: "content", errno: failure) }
        guard bytes.count == count else { throw .truncated(at: Int64(bytes.count), expected: size) }
        return bytes
    }
}

extension ContentFile {
    /// Reads the whole content in pieces of at most 1 MiB.
    ///
    /// - Throws: ``ContentError/system(operation:path:errno:)``, or ``ContentError/truncated(at:expected:)`` when the file
    ///   has shrunk since it was opened.
    func forEachPiece(_ body: (UnsafeRawBufferPointer) -> Void) throws(ContentError) {
        var buffer = [UInt8](repeating: 0, count: Int(min(max(size, 1), 1 << 20)))
        var offset: Int64 = 0
        while offset < size {
            let count = buffer.withUnsafeMutableBytes { pread(fileDescriptor, $0.baseAddress, $0.count, off_t(offset)) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .system(operation: "read", path: path, errno: errno) }
            guard count > 0 else { throw .truncated(at: offset, expected: size) }
            let part = min(Int64(count), size - offset)
            buffer.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[..<Int(part)])) }
            offset += part
        }
    }
}

/// The system's text for an error number.
package func systemErrorText(_ number: Int32) -> String {
    // Thread-safe in glibc from 2.32 on; the buffer is the thread's own.
    guard let text = strerror(number) else { return "error \(number)" }
    return String(cString: text)
}
