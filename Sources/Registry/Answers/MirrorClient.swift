import Mirroring
import NIOCore
import Splicing

/// The client of a mirrored request. All calls come on the event loop of the client's channel.
protocol MirrorClient: AnyObject {
    /// Whether bytes that are written now leave soon.
    var takesBytes: Bool { get }
    /// The address of the client, without the port; `nil` when it is not known.
    var address: String? { get }
    /// - Parameter source: the registry of the peer that the content begins to come from.
    func mirrorSends(head: PromisedContent, source: PeerAddress?)
    func mirrorSends(body: ByteBuffer)
    /// - Parameter whenSent: called once, when the bytes have left or cannot leave any more.
    func mirrorSends(body: ByteBuffer, whenSent: @escaping @Sendable () -> Void)
    func mirrorFlushes()
    /// Flushes, and tells when all that was written has left; never when it cannot.
    func mirrorFlushes(whenDone: @escaping () -> Void)
    /// A descriptor of the client's socket, for bytes that are sent past its channel.
    var socket: SocketDescriptor? { get }
    /// Bytes of the body were sent past the channel.
    func mirrorSent(bytes: Int64)
    /// The client's connection has failed.
    func mirrorLostClient()
    /// The answer ends; nothing follows.
    func mirrorEnds(_ ending: TransferEnding)
}
