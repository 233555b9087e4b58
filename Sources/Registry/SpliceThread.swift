import CSplice
import ContentStore
import Glibc

/// A thread that moves bodies from peers' sockets to clients'; ``SpliceLoop`` is its work. It ends with the last
/// reference.
///
/// The event loops cannot wait for these sockets: theirs would read from a peer's socket whatever has come as soon as the
/// peer closes it.
final class SpliceThread: Sendable {
    private let inbox: SpliceInbox

    /// Starts the thread, or gives `nil` when the system has none to give.
    init?(pipes: SplicePipes) {
        guard let inbox = SpliceInbox() else { return nil }
        self.inbox = inbox
        let hasStarted = DetachedThread.start(stackSize: 256 << 10) {
            // Signals are for the other threads; to write to a socket that is closed is an error here.
            var all = sigset_t()
            sigfillset(&all)
            pthread_sigmask(SIG_BLOCK, &all, nil)
            var loop = SpliceLoop(inbox, pipes: pipes)
            loop.run()
        }
        guard hasStarted else { return nil }
    }

    deinit { close() }

    /// Ends the thread, and with it what it has under way.
    func close() {
        inbox.put { $0.isClosed = true }
    }

    /// Takes on a transfer.
    func begin(_ splice: Splice) {
        inbox.put { $0.begun.append(splice) }
    }

    /// Has the thread call off a transfer.
    func stop(_ splice: Splice) {
        guard splice.markStopped() else { return }
        inbox.put { $0.hasStopped = true }
    }
}
