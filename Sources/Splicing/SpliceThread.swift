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
        inbox.end()
    }

    /// Starts a transfer on the thread. If the thread was closed, the transfer ends at once as `stopped`.
    func begin(_ splice: Splice) {
        guard !inbox.begin(splice) else { return }
        splice.destination.close()
        splice.source.close()
        splice.onEnd(SpliceResult(end: .stopped, delivered: 0, hasher: splice.verification?.hasher))
    }

    /// Stops a transfer of the thread once its pipe is empty.
    func leave(_ splice: Splice) {
        splice.markLeaving()
        inbox.announceStop()
    }

    /// Stops a transfer of the thread.
    func stop(_ splice: Splice) {
        guard splice.markStopped() else { return }
        inbox.announceStop()
    }
}
