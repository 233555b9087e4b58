import Glibc
import Synchronization

/// A thread that waits until a file descriptor is readable. It sleeps in the kernel and ends with the last reference.
final class ReadinessThread: Sendable {
    /// The state that the thread and the waiting task share.
    private final class Shared: Sendable {
        struct State {
            var waiter: CheckedContinuation<Void, Never>?
            var isStopped = false
        }

        let descriptor: Int32
        /// A pipe that wakes the thread for a request or for its end.
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
            // A full pipe wakes the thread as well.
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

        /// The thread's loop: sleep until a task waits, then until the descriptor is readable.
        func run() {
            while !state.withLock(\.isStopped) {
                let isAsked = state.withLock { $0.waiter != nil }
                var entries = [pollfd(fd: wake.read, events: Int16(POLLIN), revents: 0)]
                if isAsked { entries.append(pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)) }
                poll(&entries, nfds_t(entries.count), -1)
                var bytes: (UInt64, UInt64) = (0, 0)
                _ = read(wake.read, &bytes, MemoryLayout.size(ofValue: bytes))
                // The reader will find an error of the descriptor.
                if entries.count > 1, entries[1].revents != 0 { resumeWaiter() }
            }
        }
    }

    private let shared: Shared

    /// Starts the thread. Returns `nil` when the system cannot create one. The descriptor must outlive this object.
    init?(_ descriptor: Int32) {
        guard let shared = Shared(descriptor) else { return nil }
        self.shared = shared
        guard DetachedThread.start(stackSize: 128 << 10, { shared.run() }) else { return nil }
    }

    deinit {
        shared.state.withLock { $0.isStopped = true }
        shared.signal()
    }

    /// Returns when the descriptor is readable or the calling task is cancelled. One task may wait at a time.
    func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let waits = shared.state.withLock { state in
                    // The cancellation handler may have run before and found no waiter.
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
