import Files
import Glibc

/// A set of watched folders (Linux inotify). It is closed with the last reference.
package final class InotifyWatch: Sendable {
    /// An inotify event.
    package struct Event: Hashable, Sendable {
        /// The number of the watch, or -1.
        package var watch: Int32
        /// The event's bits.
        var mask: UInt32
        /// The name of the entry in the folder; empty for the folder itself.
        package var name: String

        /// Whether events were lost.
        package var isOverflow: Bool { mask & UInt32(IN_Q_OVERFLOW) != 0 }
        /// Whether the folder itself was removed.
        package var isFolderGone: Bool {
            mask & UInt32(IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED) != 0
        }
        /// Whether an entry is new: created, or linked into place.
        var isEntryNew: Bool { mask & UInt32(IN_CREATE) != 0 }
        /// Whether an entry was removed.
        package var isEntryGone: Bool { mask & UInt32(IN_DELETE | IN_MOVED_FROM) != 0 }
        /// Whether a file probably has its final content: written and closed, or renamed into place.
        package var isEntryComplete: Bool { mask & UInt32(IN_CLOSE_WRITE | IN_MOVED_TO) != 0 }
        /// Whether the entry is a folder.
        package var isFolder: Bool { mask & UInt32(IN_ISDIR) != 0 }
    }

    private let descriptor: Int32
    private let readiness: ReadinessThread?

    /// Creates an empty set. Returns `nil` when the system has no inotify instance left.
    package init?() {
        descriptor = inotify_init1(Int32(IN_NONBLOCK | IN_CLOEXEC))
        readiness = descriptor >= 0 ? ReadinessThread(descriptor) : nil
        guard descriptor >= 0 else { return nil }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    /// Watches a folder and returns the watch's number, or `nil` when the folder does not exist.
    package func add(_ path: String) throws(FileError) -> Int32? {
        let mask =
            IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF
        let watch = inotify_add_watch(descriptor, path, UInt32(mask) | UInt32(IN_ONLYDIR))
        guard watch >= 0 else {
            let number = errno
            if number == ENOENT || number == ENOTDIR { return nil }
            throw FileError(operation: "watch", path: path, errno: number)
        }
        return watch
    }

    /// Ends a watch. A number without a watch is no error.
    func remove(_ watch: Int32) {
        inotify_rm_watch(descriptor, watch)
    }

    /// Returns when an event is available, the time is over or the calling task is cancelled. One task may wait at a
    /// time.
    func wait(atMost limit: Duration) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.wait() }
            group.addTask { try? await Task.sleep(for: limit) }
            await group.next()
            group.cancelAll()
        }
    }

    /// Returns when an event is available or the calling task is cancelled. One task may wait at a time.
    package func wait() async {
        if let readiness {
            await readiness.wait()
        } else {
            // Without a thread, poll.
            try? await Task.sleep(for: .milliseconds(100))
        }
    }

    /// Takes at most about 1,000 events without waiting.
    package func read() throws(FileError) -> [Event] {
        var buffer = [UInt8](repeating: 0, count: 1 << 15)
        let count = buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
        guard count >= 0 else {
            if errno == EAGAIN || errno == EINTR { return [] }
            throw FileError(operation: "read", path: "inotify", errno: errno)
        }
        return Self.parse(buffer[..<count])
    }

    /// Parses the kernel's records: watch, mask, cookie, length (4 bytes each, native byte order), then a name padded
    /// with zeros. See inotify(7).
    static func parse(_ bytes: ArraySlice<UInt8>) -> [Event] {
        var events: [Event] = []
        var rest = bytes
        while rest.count >= 16 {
            let (watch, mask, length) = rest.withUnsafeBytes {
                (
                    $0.loadUnaligned(fromByteOffset: 0, as: Int32.self),
                    $0.loadUnaligned(fromByteOffset: 4, as: UInt32.self),
                    $0.loadUnaligned(fromByteOffset: 12, as: UInt32.self)
                )
            }
            rest = rest.dropFirst(16)
            guard let length = Int(exactly: length), length <= rest.count else { break }
            let name = String(decoding: rest.prefix(length).prefix { $0 != 0 }, as: UTF8.self)
            events.append(Event(watch: watch, mask: mask, name: name))
            rest = rest.dropFirst(length)
        }
        return events
    }
}
