import ContentStore
import Glibc
import Multiformats
import NIOCore
import NIOHTTP1
import OCI

/// A request that is being answered, and how far the answer has come.
struct Exchange {
    typealias ID = Int

    let id: ID
    /// Whether no body may follow the head.
    let isHead: Bool
    /// Whether the client speaks HTTP/1.0.
    let isOldVersion: Bool
    /// Whether another request may follow on the connection.
    var keepsAlive: Bool
    let started: NIODeadline
    /// What it is counted under.
    let handler: RegistryCounters.Handler
    let method: String

    /// What is asked for, if it is content.
    var content: ContentRequest?
    /// Whether the node's own store answers.
    var isLocal = false
    /// The status that was sent; 0 before.
    var status = 0
    /// How the answer ends when all of it has left.
    var outcome: RegistryMetrics.Outcome?

    /// The size of the body, once it is known.
    var bodySize: Int64?
    /// The registry of the peer that the body begins to come from.
    var source: SocketAddress?
    /// The bytes of the body that were given to the channel.
    var enqueuedBytes: Int64 = 0
    /// How many of them had left when it was last looked, and since when there were as many.
    var lastProgress: Int64 = 0
    var lastProgressAt: NIODeadline

    /// Its place among the bodies that are sent to other nodes, or in the line for one.
    var pass: TransferGate<IPAddress>.Ticket?
    /// What to do when it gets the place, and when it has waited for too long.
    var whenAdmitted: (() -> Void)?
    var turnTimeout: Scheduled<Void>?

    /// Where the content comes from: one of these.
    var file: ServedFile?
    /// Whether the answer waits for the check of its content before it begins or ends.
    var awaitsCheck = false
    var reader: Task<Void, Never>?
    var mirror: MirrorSession?
    /// Another client's request for the same, for whose answer this one waits, and for how many it has.
    var following: (mirror: SharedMirror, turn: SharedMirror.Turn)?
    /// How many bytes the reader has yet to give; `nil` before it is open.
    var readerRemaining: Int64?
    /// The head of the answer until there is a first byte to follow it.
    var heldHead: HTTPResponseHead?

    init(id: ID, head: HTTPRequestHead, keepsAlive: Bool, started: NIODeadline) {
        self.id = id
        isHead = head.method == .HEAD
        isOldVersion = head.version.minor < 1
        handler = RegistryCounters.Handler(target: head.uri)
        method = head.method == .GET || head.method == .HEAD ? head.method.rawValue : "other"
        self.keepsAlive = keepsAlive
        self.started = started
        lastProgressAt = started
    }
}

/// A file of which a part is being sent.
struct ServedFile {
    let file: ContentFile
    let digest: Digest
    /// Where the part ends.
    let end: Int64
    /// What of the part was not handed to the channel yet, less the end that waits for the check.
    var rest: Range<Int64>
    /// The end of the part that waits for the check of the file.
    var tail: Range<Int64>?

    /// Whether the file has become shorter than what was promised of it.
    var hasShrunk: Bool {
        var status = stat()
        return fstat(file.fileDescriptor, &status) != 0 || status.st_size < end
    }
}
