import Glibc

/// Tells two states of a file apart: it changes when the file is written, replaced, or changed in any other way.
public struct FileStamp: Hashable, Sendable {
    /// The size in bytes.
    public let size: Int64
    private let device: UInt64
    private let node: UInt64
    private let modified: Moment
    private let changed: Moment

    private struct Moment: Hashable, Sendable {
        var seconds: Int
        var nanoseconds: Int

        init(_ time: timespec) {
            seconds = time.tv_sec
            nanoseconds = time.tv_nsec
        }
    }

    /// The state that the system tells.
    package init(_ status: stat) {
        size = Int64(status.st_size)
        device = UInt64(status.st_dev)
        node = UInt64(status.st_ino)
        modified = Moment(status.st_mtim)
        changed = Moment(status.st_ctim)
    }

    /// Whether the bytes of the file may have been changed between two states. That its last name went, for one, changes
    /// the stamp and not the bytes.
    func mayHaveOtherBytes(than other: FileStamp) -> Bool {
        size != other.size || modified != other.modified || node != other.node || device != other.device
    }
}
