/// The limits of a yamux session.
package struct YamuxConfiguration: Equatable {
    /// The window with which each stream begins, by the specification: 256 KiB.
    package static let initialWindow = 256 * 1024

    /// The most streams that the remote side may have open at once; what exceeds it is reset.
    package var maxInboundStreams = 256
    /// The most opened streams that the remote side has not yet acknowledged
    /// (libp2p/specs yamux/README.md, "ACK backlog").
    package var maxUnacknowledgedStreams = 256
    /// How many bytes of a stream the remote side may have sent before this side took them: the bound of
    /// what a stream holds in memory. At least ``initialWindow``; the excess is granted when it opens.
    package var receiveWindow = YamuxConfiguration.initialWindow
    /// How far the receive window of a stream grows whose reader keeps up and whose sender has to wait for it.
    package var maxReceiveWindow = 1024 * 1024
    /// By how many bytes all windows of a session together may have grown.
    package var maxWindowGrowth = 4 * 1024 * 1024
    /// How many bytes of a stream may wait to be sent.
    package var maxQueuedBytesPerStream = 64 * 1024
    /// How many bytes of all streams may wait to be sent; beyond it no stream takes more.
    package var maxQueuedBytes = 4 * 1024 * 1024
    /// The most bytes of data in a sent frame. With 16 KiB a stream waits no longer than that for each
    /// other stream, and the header costs less than a thousandth.
    package var maxFrameSize = 16 * 1024
    /// How many answers (pings and resets) may wait to be sent. A peer that asks for more without reading
    /// them is flooding; at 12 bytes each this holds 12 KiB.
    package var maxQueuedControlFrames = 1024
    /// How many streams beyond the limit a peer may open in a row before the session ends. Each costs it a reset.
    package var maxRefusedStreams = 4096

    package init() {}
}
