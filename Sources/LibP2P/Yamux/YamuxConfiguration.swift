/// The limits of a yamux session.
package struct YamuxConfiguration: Equatable {
    /// The initial window of each stream by the specification: 256 KiB.
    package static let initialWindow = 256 * 1024

    /// The maximum number of open inbound streams; more are reset.
    package var maxInboundStreams = 256
    /// The maximum number of opened streams that the remote side has not acknowledged yet (libp2p/specs
    /// yamux/README.md, "ACK backlog").
    package var maxUnacknowledgedStreams = 256
    /// The receive window of a stream in bytes, which bounds its memory. At least ``initialWindow``; the excess is
    /// granted when the stream opens.
    package var receiveWindow = YamuxConfiguration.initialWindow
    /// The maximum receive window of a stream whose reader keeps up and whose sender waits for it.
    package var maxReceiveWindow = 1024 * 1024
    /// The maximum growth of all windows of a session in bytes.
    package var maxWindowGrowth = 4 * 1024 * 1024
    /// The maximum number of queued bytes of a stream.
    package var maxQueuedBytesPerStream = 64 * 1024
    /// The maximum number of queued bytes of all streams. Above it no stream accepts more.
    package var maxQueuedBytes = 4 * 1024 * 1024
    /// The maximum number of data bytes in a sent frame. With 16 KiB a stream waits only that long for each other
    /// stream, and the header costs less than a thousandth.
    package var maxFrameSize = 16 * 1024
    /// The maximum number of queued answers (pings and resets). A peer that requests more without reading them is
    /// flooding. At 12 bytes each they take 12 KiB.
    package var maxQueuedControlFrames = 1024
    /// The number of streams in a row that a peer may open above the limit before the session ends. Each causes a
    /// reset.
    package var maxRefusedStreams = 4096

    package init() {}
}
