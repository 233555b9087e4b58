import CSplice
import Glibc
import Synchronization

/// The state that a thread shares with its callers: new transfers, requests to stop, and the epoll descriptor.
final class SpliceInbox: Sendable {
    /// The messages since the last ``take()``.
    struct Content {
        /// New transfers.
        var begun: [Splice] = []
        /// Whether a caller stopped a transfer.
        var hasStopped = false
        /// Whether the thread shall end.
        var isClosed = false
    }

    /// The epoll data of the event that announces a message.
    static let eventData: UInt64 = 0

    /// The epoll descriptor at which the thread waits.
    let poll: Int32
    private let wake: Int32
    private let content = Mutex(Content())

    /// A new inbox, or `nil` if the system has no descriptors left.
    init?() {
        poll = epoll_create1(Int32(EPOLL_CLOEXEC))
        wake = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
        guard poll >= 0, wake >= 0, watch(wake, EPOLLIN.rawValue, data: Self.eventData) else { return nil }
    }

    deinit {
        if poll >= 0 { close(poll) }
        if wake >= 0 { close(wake) }
    }

    /// Adds a transfer, then wakes the thread.
    ///
    /// - Returns: `false` if the inbox is closed: the thread takes no more transfers then.
    func begin(_ splice: Splice) -> Bool {
        put { content in
            if !content.isClosed { content.begun.append(splice) }
            return !content.isClosed
        }
    }

    /// Announces that a transfer was marked as stopped.
    func announceStop() {
        put { $0.hasStopped = true }
    }

    /// Closes the inbox, which ends the thread.
    func end() {
        put { $0.isClosed = true }
    }

    private func put<Result>(_ change: (inout Content) -> Result) -> Result {
        let result = content.withLock { change(&$0) }
        var one: UInt64 = 1
        _ = write(wake, &one, MemoryLayout.size(ofValue: one))
        return result
    }

    /// Takes all messages out. Only the thread calls this.
    func take() -> Content {
        var count: UInt64 = 0
        _ = read(wake, &count, MemoryLayout.size(ofValue: count))
        return content.withLock { content in
            let taken = content
            content = Content(isClosed: taken.isClosed)
            return taken
        }
    }

    /// Registers a socket, whose events wake the thread from now on.
    ///
    /// - Returns: whether the system accepted it.
    func watch(_ socket: Int32, _ events: UInt32, data: UInt64) -> Bool {
        var event = epoll_event(events: events, data: epoll_data_t(u64: data))
        return epoll_ctl(poll, EPOLL_CTL_ADD, socket, &event) == 0
    }

    /// Removes a socket: its events wake the thread no more.
    func unwatch(_ socket: Int32) {
        epoll_ctl(poll, EPOLL_CTL_DEL, socket, nil)
    }
}
