import CSplice
import Glibc
import Synchronization

/// What the thread that moves bodies and those who hand them to it share: what is new, and the list of sockets that the
/// thread waits for.
final class SpliceInbox: Sendable {
    /// What has come since it was looked at.
    struct Content {
        var begun: [Splice] = []
        /// Whether some transfer was called off.
        var hasStopped = false
        /// Whether the thread is to end.
        var isClosed = false
    }

    /// What the event that something has come bears.
    static let eventData: UInt64 = 0

    /// The descriptor to wait at.
    let poll: Int32
    private let wake: Int32
    private let content = Mutex(Content())

    /// `nil` when the system has no descriptors to give.
    init?() {
        poll = epoll_create1(Int32(EPOLL_CLOEXEC))
        wake = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
        guard poll >= 0, wake >= 0, watch(wake, EPOLLIN.rawValue, data: Self.eventData) else { return nil }
    }

    deinit {
        if poll >= 0 { close(poll) }
        if wake >= 0 { close(wake) }
    }

    /// Changes the content, and wakes the thread.
    func put(_ change: (inout Content) -> Void) {
        content.withLock { change(&$0) }
        var one: UInt64 = 1
        _ = write(wake, &one, MemoryLayout.size(ofValue: one))
    }

    /// Takes out what has come; the thread does so.
    func take() -> Content {
        var count: UInt64 = 0
        _ = read(wake, &count, MemoryLayout.size(ofValue: count))
        return content.withLock { content in
            let taken = content
            content = Content(isClosed: taken.isClosed)
            return taken
        }
    }

    /// Has the thread woken by a socket.
    ///
    /// - Returns: whether the system will do so.
    func watch(_ socket: Int32, _ events: UInt32, data: UInt64) -> Bool {
        var event = epoll_event(events: events, data: epoll_data_t(u64: data))
        return epoll_ctl(poll, EPOLL_CTL_ADD, socket, &event) == 0
    }

    /// Has the thread woken by a socket no more.
    func unwatch(_ socket: Int32) {
        epoll_ctl(poll, EPOLL_CTL_DEL, socket, nil)
    }
}
