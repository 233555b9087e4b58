/// How many transfers run at a time, and how fast.
public struct TransferSettings: Hashable, Sendable {
    /// How many bodies are sent to other nodes at a time.
    public var maximumUploads = 256
    /// How many of them to one node.
    public var maximumUploadsPerPeer = 64
    /// How many blobs are fetched from other nodes at a time.
    public var maximumDownloads = 256
    /// How many of them from one node.
    public var maximumDownloadsPerPeer = 64
    /// How many transfers of each direction are queued; each beyond is told at once to come again.
    public var maximumQueued = 4096
    /// Bodies up to this size are sent without waiting for a turn.
    public var smallBody: Int64 = 1 << 20
    /// How long another node waits for its turn before it is told to come again. Shorter than
    /// ``PeerSettings/headTimeout``, so that no node takes a busy one for dead.
    public var uploadTimeout: Duration = .seconds(1)
    /// How many bytes are sent to other nodes in a second; `nil` for as many as can be.
    public var uploadRate: Int?
    /// How many are fetched from them.
    public var downloadRate: Int?
}
