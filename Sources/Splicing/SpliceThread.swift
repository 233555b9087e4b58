import CSplice
import ContentStore
import Glibc

/// A thread that runs a ``SpliceLoop``. It ends with the last reference.
///
/// A caller's own event loop may not watch the source during a transfer: it would read bytes as soon as the source closes.
final class SpliceThread: Sendable {
    private let inbox: SpliceInbox

    /// Starts the thread. The result is `nil` if the system has no thread or no descriptors left.
    init?(pipes: SplicePipePool) {
        guard let inbox = SpliceInbox() else { return nil }
        self.inbox = inbox
        let hasStarted = DetachedThread.start(stackSize: 256 << 10) {
            // The other threads handle signals. A write to a closed socket returns an error here, without SIGPIPE.
            var all = sigset_t()
            sigfillset(&all)
            pthread_sigmask(SIG_BLOCK, &all, nil)
            var loop = SpliceLoop(inbox, pipes: pipes)
            loop.run()
        }
        guard hasStarted else { return nil }
    }

    deinit { close() }

    /// Ends the thread, which stops its transfers.
    func close() {
        inbox.put { $0.isClosed = true }
    }

    /// Starts a transfer on the thread.
    func begin(_ splice: Splice) {
        inbox.put { $0.begun.append(splice) }
    }

    /// Stops a transfer of the thread.
    func stop(_ splice: Splice) {
        guard splice.markStopped() else { return }
        inbox.put { $0.hasStopped = true }
    }
}
