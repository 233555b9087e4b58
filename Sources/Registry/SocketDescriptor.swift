import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// A file descriptor that is closed with the last reference, unless it was taken out before.
final class SocketDescriptor: Sendable {
    private let value: Atomic<Int32>

    /// Takes over an open descriptor.
    init(takingOver number: Int32) {
        value = Atomic(number)
    }

    /// A descriptor of the same socket as a channel's; the channel may close its own.
    convenience init?(of channel: any Channel) {
        guard let channel = channel as? any NIOTransportAccessibleChannelCore<NIOBSDSocket.Handle> else { return nil }
        let number = try? channel.withUnsafeTransport { fcntl($0, F_DUPFD_CLOEXEC, 0) }
        guard let number, number >= 0 else { return nil }
        self.init(takingOver: number)
    }

    deinit { close() }

    /// The descriptor; -1 once it was taken out or closed.
    var number: Int32 { value.load(ordering: .relaxed) }

    /// Hands the descriptor to the caller, who has to close it.
    func take() -> Int32? {
        let number = value.exchange(-1, ordering: .relaxed)
        return number >= 0 ? number : nil
    }

    /// Closes it now.
    func close() {
        if let number = take() { _ = Glibc.close(number) }
    }
}
