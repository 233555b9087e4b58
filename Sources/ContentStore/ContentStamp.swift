import Glibc

/// A value that differs between two states of content. For a file, it changes with every change of the file. For
/// content that another process keeps, it changes when the content is stored anew.
public struct ContentStamp: Hashable, Sendable {
    /// The size in bytes.
    public let size: Int64
    /// `nil` for content that another process keeps.
    private let file: File?
    private let modified: Moment

    private struct File: Hashable, Sendable {
        var device: UInt64
        var node: UInt64
        var changed: Moment
    }

    private struct Moment: Hashable, Sendable {
        var seconds: Int64
        var nanoseconds: Int64

        init(_ time: timespec) {
            seconds = Int64(time.tv_sec)
            nanoseconds = Int64(time.tv_nsec)
        }
    }

    /// The state of a file.
    package init(_ status: stat) {
        size = Int64(status.st_size)
        modified = Moment(status.st_mtim)
        file = File(device: UInt64(status.st_dev), node: UInt64(status.st_ino), changed: Moment(status.st_ctim))
    }

    /// The state of content that another process keeps.
    ///
    /// - Parameter stored: when the content was stored, by the clock of that process.
    public init(size: Int64, stored: timespec) {
        self.size = size
        modified = Moment(stored)
        file = nil
    }

    /// Whether the bytes may differ between two states. Some changes, such as removing a file's last name, change only
    /// the stamp.
    func mayHaveOtherBytes(than other: ContentStamp) -> Bool {
        size != other.size || modified != other.modified || file?.node != other.file?.node
            || file?.device != other.file?.device
    }
}
