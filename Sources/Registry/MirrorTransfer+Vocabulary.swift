import NIOCore
import OCI
import Routing

/// What a transfer is told and what it answers.
extension MirrorTransfer {
    /// What the client asks for.
    struct Request: Hashable, Sendable {
        /// Whether only the head is wanted.
        var isHead: Bool
        /// Whether it is a manifest or a blob.
        var kind: DistributionRequest.Kind
        /// The digest, unless it is asked for by tag.
        var digest: Digest?
        /// The range that is wanted; only ever of a blob, and not with HEAD.
        var range: ByteRange?
        /// Whether large content is hashed on its way, too, wherever all of it comes by.
        var mustHash = false
        /// The size of the whole content in bytes, where it is known.
        var size: Int64?
    }

    /// How long and how often peers are tried.
    struct Limits: Hashable, Sendable {
        var resolveTimeout: TimeAmount = .milliseconds(20)
        var lookupTimeout: TimeAmount = .seconds(1)
        var connectTimeout: TimeAmount = .milliseconds(200)
        var headTimeout: TimeAmount = .seconds(2)
        /// How long a peer that fell silent of late may take to do so.
        var hurriedHeadTimeout: TimeAmount = .milliseconds(500)
        /// How long a peer may take to a head that has to check the content first: some gigabytes are read so fast.
        var checkTimeout: TimeAmount = .seconds(10)
        var progressTimeout: TimeAmount = .seconds(2)
        /// How many providers are asked however long it takes; see ``Tries``.
        var providers = 3
        /// How many are kept to be asked, each once, if those before them fail.
        var peers = 16
        /// How long others are asked in place of those that fail.
        var spareTime: TimeAmount = .seconds(5)
        /// How many addresses of each are tried.
        var addressesPerProvider = 4
        /// How long a peer may take to the first byte of its body before a second one is asked beside it; before a third one
        /// is, twice as long, and so on.
        var hedgeDelay: TimeAmount = .milliseconds(250)
        /// How many peers are asked beside others for one request.
        var hedges = 6
        /// The largest content, in bytes, that is held back until its digest was checked.
        var checkedSize: Int64 = 8 << 20
        /// How long peers that are busy or slow are asked again, from the start of the transfer.
        var busyTimeout: TimeAmount = .seconds(30)
        /// How often, for one transfer, a peer is asked again that is silent though it answers others.
        var slowRests = 2
        /// How long one is left alone in between.
        var busyRest: TimeAmount = .milliseconds(500)
        /// From how many bytes on the rest of a body may go to the client without being seen here.
        var splicedSize: Int64 = 256 << 10
    }

    /// Tells an attempt at a peer from all others of the same transfer.
    typealias AttemptID = Int

    /// A request to a peer.
    struct PeerRequest: Hashable, Sendable {
        var attempt: AttemptID
        var peerID: String
        var address: SocketAddress
        var asked: PeerResponseHead.Asked
        /// Whether a connection that was used before may serve.
        var mayReuse: Bool
        /// Whether the peer has to check the content against its digest first, and to say that it has.
        var mustBeChecked = false
    }

    /// What the driver has to do. After `finish`, `cutShort`, `notFound`, `unavailable` and `rangeNotSatisfiable` nothing
    /// follows.
    enum Action: Hashable, Sendable {
        /// Connect to a peer and send it the request.
        case ask(PeerRequest)
        /// Close the connection of an attempt.
        case cancel(AttemptID)
        /// The answer of an attempt was read to its end; its connection may serve again.
        case release(AttemptID)
        /// No more providers are wanted.
        case cancelLookup
        /// Look for providers once more, and tell of those as of the first ones.
        case lookAgain
        /// Send the response head to the client.
        case sendHead(MirroredContent)
        /// Check the digest of what was held back of an attempt, and tell the result at once.
        case check(AttemptID, MirroredContent)
        /// Send to the client what was held back.
        case sendHeld
        /// Forget what was held back.
        case discardHeld
        /// Do not ask a peer for this content again for a while: what it sent is not what the digest says.
        case bar(peerID: String, Digest)
        /// Ask a peer for this content only if it checks it first, for a while: what it and others have sent together is
        /// not what the digest says.
        case suspect(peerID: String, Digest)
        /// The answer to the client is complete.
        case finish
        /// Send what is buffered, then close the client's connection cleanly: nobody has the rest.
        case cutShort
        /// Answer 404.
        case notFound
        /// Answer 503: peers may have the content, but were busy or slow for all the time that was waited.
        case unavailable
        /// Answer 416; the size of the whole content is given.
        case rangeNotSatisfiable(size: Int64)
    }

    /// What to do with a chunk of a peer's body, and what else.
    struct BodyDecision: Hashable, Sendable {
        /// What happens to the bytes.
        enum Use: Hashable, Sendable {
            /// Nothing: they are of an attempt that was given up, or the client has them already.
            case drop
            /// Forward them, less so many at their start; before that, send the head if there is one. Where
            /// ``MirrorTransfer/isHashed`` says so they are hashed, and the last chunk is held back.
            case forward(head: MirroredContent?, dropFirst: Int)
            /// Hold them back, less so many at their start. Where there is no room for that much content,
            /// ``MirrorTransfer/cannotHold(_:)`` is to be called, once.
            case hold(MirroredContent, dropFirst: Int)
        }

        var use: Use
        /// To be carried out before.
        var actions: [Action] = []

        static let drop = BodyDecision(use: .drop)
    }

    /// Why an attempt failed.
    enum Failure: Hashable, Sendable, CustomStringConvertible {
        case cannotConnect(String)
        case connectTimeout
        case closed(String)
        case malformed(String)
        case headTimeout
        case progressTimeout
        case refused(PeerRefusal)
        case tooLong
        case corrupt
        case busy

        /// Whether the peer sent nothing for too long.
        var isSilence: Bool {
            switch self {
            case .headTimeout, .progressTimeout: true
            default: false
            }
        }

        /// Whether the peer let time pass; it may only be slow.
        var isTimeout: Bool { isSilence || self == .connectTimeout }

        /// Whether no connection was made.
        var isOfConnecting: Bool {
            switch self {
            case .cannotConnect, .connectTimeout: true
            default: false
            }
        }

        var description: String {
            switch self {
            case .cannotConnect(let reason): "cannot connect: \(reason)"
            case .connectTimeout: "the connection was not made in time"
            case .closed(let reason): "the connection was closed: \(reason)"
            case .malformed(let reason): "the answer is malformed: \(reason)"
            case .headTimeout: "no answer in time"
            case .progressTimeout: "the body has stalled"
            case .refused(let refusal): refusal.description
            case .tooLong: "the body is longer than announced"
            case .busy: "it is busy"
            case .corrupt: "the content is not what its digest says"
            }
        }
    }

    /// An attempt that failed, for the log.
    struct FailedAttempt: Hashable, Sendable {
        var peerID: String
        var address: SocketAddress
        var failure: Failure

        /// The peer, at the address that was tried.
        var provider: Provider { Provider(peerID: peerID, addresses: [address]) }
    }
}
