import Glibc
import NIOCore
import NIOPosix
import Splicing

extension SocketDescriptor {
    /// A duplicate of a channel's descriptor, which stays open when the channel closes its own.
    convenience init?(of channel: any Channel) {
        guard let channel = channel as? any NIOTransportAccessibleChannelCore<NIOBSDSocket.Handle> else { return nil }
        let number = try? channel.withUnsafeTransport { fcntl($0, F_DUPFD_CLOEXEC, 0) }
        guard let number, number >= 0 else { return nil }
        self.init(takingOver: number)
    }
}
