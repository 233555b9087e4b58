import Glibc

/// Tells two states of content apart: of a file it changes when the file is written, replaced, or changed in any other
/// way; of content that somebody else keeps, when it is put there anew.
public struct ContentStamp: Hashable, Sendable {
    /// The size in bytes.
    public let size: Int64
    /// `nil` where somebody else keeps it.
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

    /// The state of a file that the system tells.
    package init(_ status: stat) {
        size = Int64(status.st_size)
        modified = Moment(status.st_mtim)
        file = File(device: UInt64(status.st_dev), node: UInt64(status.st_ino), changed: Moment(status.st_ctim))
    }

    /// The state of content that somebody else keeps.
    ///
    /// - Parameter stored: when it was put there, by the clock of whoever keeps it.
    public init(size: Int64, stored: timespec) {
        self.size = size
        modified = Moment(stored)
        file = nil
    }

    /// Whether the bytes of the file may have been changed between two states. That its last name went, for one, changes
    /// the stamp and not the bytes.
    func mayHaveOtherBytes(than other: ContentStamp) -> Bool {
        size != other.size || modified != other.modified || file?.node != other.file?.node
            || file?.device != other.file?.device
    }
}
