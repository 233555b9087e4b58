import Glibc
import Synchronization

/// Waits on a thread of its own until a file descriptor can be read. The thread sleeps in the kernel all the while, and
/// ends with the last reference.
final class ReadinessThread: Sendable {
    /// What the thread and whoever waits share.
    private final class Shared: Sendable {
        struct State {
            var waiter: CheckedContinuation<Void, Never>?
            var isStopped = false
        }

        let descriptor: Int32
        /// A pipe that wakes the thread: a request, or the end.
        let wake: (read: Int32, write: Int32)
        let state = Mutex(State())

        init?(_ descriptor: Int32) {
            self.descriptor = descriptor
            var ends: [Int32] = [-1, -1]
            let isOpen = pipe(&ends) == 0
            wake = (ends[0], ends[1])
            guard isOpen else { return nil }
            for end in ends {
                _ = fcntl(end, F_SETFD, FD_CLOEXEC)
                _ = fcntl(end, F_SETFL, O_NONBLOCK)
            }
        }

        deinit {
            if wake.read >= 0 { close(wake.read) }
            if wake.write >= 0 { close(wake.write) }
        }

        func signal() {
            // A pipe that is full wakes as well.
            var byte: UInt8 = 0
            _ = write(wake.write, &byte, 1)
        }

        func resumeWaiter() {
            let waiter = state.withLock { state in
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume()
        }

        /// The thread's work: to sleep until asked to wait, then until there is something to read.
        func run() {
            while !state.withLock(\.isStopped) {
                let isAsked = state.withLock { $0.waiter != nil }
                var entries = [pollfd(fd: wake.read, events: Int16(POLLIN), revents: 0)]
                if isAsked { entries.append(pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)) }
                poll(&entries, nfds_t(entries.count), -1)
                var bytes: (UInt64, UInt64) = (0, 0)
                _ = read(wake.read, &bytes, MemoryLayout.size(ofValue: bytes))
                // An error of the descriptor is found by whoever reads it.
                if entries.count > 1, entries[1].revents != 0 { resumeWaiter() }
            }
        }
    }

    private let shared: Shared

    /// Starts the thread, or gives `nil` when the system has none to give. The descriptor must outlive this object.
    init?(_ descriptor: Int32) {
        guard let shared = Shared(descriptor) else { return nil }
        self.shared = shared
        guard DetachedThread.start(stackSize: 128 << 10, { shared.run() }) else { return nil }
    }

    deinit {
        shared.state.withLock { $0.isStopped = true }
        shared.signal()
    }

    /// Returns when the descriptor can be read, or the calling task is cancelled. One task may wait at a time.
    func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let waits = shared.state.withLock { state in
                    // The cancellation handler may have run before: it finds no waiter then, so this is asked here.
                    guard state.waiter == nil, !Task.isCancelled else { return false }
                    state.waiter = continuation
                    return true
                }
                if waits { shared.signal() } else { continuation.resume() }
            }
        } onCancel: {
            shared.resumeWaiter()
        }
    }
}
