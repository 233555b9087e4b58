import CSplice
import Glibc

/// A thread that moves bodies from peers' sockets to clients'; ``SpliceLoop`` is its work. It ends with the last
/// reference.
///
/// The event loops cannot wait for these sockets: theirs would read from a peer's socket whatever has come as soon as the
/// peer closes it.
final class SpliceThread: Sendable {
    /// What the thread begins with.
    private final class Start: Sendable {
        let inbox: SpliceInbox
        let pipes: SplicePipes

        init(_ inbox: SpliceInbox, _ pipes: SplicePipes) {
            self.inbox = inbox
            self.pipes = pipes
        }
    }

    private let inbox: SpliceInbox

    /// Starts the thread, or gives `nil` when the system has none to give.
    init?(pipes: SplicePipes) {
        guard let inbox = SpliceInbox() else { return nil }
        self.inbox = inbox
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, 256 << 10)
        let argument = Unmanaged.passRetained(Start(inbox, pipes))
        var thread = pthread_t()
        let result = pthread_create(
            &thread,
            &attributes,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                // Signals are for the other threads; to write to a socket that is closed is an error here.
                var all = sigset_t()
                sigfillset(&all)
                pthread_sigmask(SIG_BLOCK, &all, nil)
                var loop = SpliceLoop(start.inbox, pipes: start.pipes)
                loop.run()
                return nil
            },
            argument.toOpaque()
        )
        guard result == 0 else {
            argument.release()
            return nil
        }
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
