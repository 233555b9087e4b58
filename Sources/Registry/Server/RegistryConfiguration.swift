import Multiformats
import Routing

/// The settings of a ``RegistryServer``. All times are wall-clock durations, all sizes are in bytes.
public struct RegistryConfiguration: Sendable {
    /// The address or host name to listen on; an empty one means all addresses.
    public var host: String
    /// The TCP port to listen on; 0 lets the system choose.
    public var port: Int

    /// How long the first provider of a key may take to be found. Later ones are not bound by it.
    public var resolveTimeout: Duration = .milliseconds(20)
    /// How long a lookup may go on to find more providers after the first.
    public var lookupTimeout: Duration = .seconds(1)
    /// How many providers may answer a request without having the content. Those that give no answer do not count.
    public var resolveRetries = 3
    /// How many providers are looked for and kept, of which those are tried first that are likely to answer soonest.
    public var resolveCandidates = 16
    /// Whether they are tried in that order, and not in that in which they are found.
    public var choosesProviders = true
    /// Whether an address is on the same network as this node. Asked for each provider whose zone says nothing.
    public var isNear: @Sendable (IPAddress) -> Bool = { _ in false }
    /// The zone of this node, which other nodes are told with each answer; `nil` when it is not known.
    public var zone: Zone?
    /// The zones of other nodes. What they tell of it with their answers is noted here.
    public var peerZones = PeerZones()
    /// What is answered and looked up: of which registries and images, and whether by tag.
    public var filter = ContentFilter()

    /// The credentials that are demanded, and sent to other nodes; `nil` for none.
    public var authentication: BasicAuthentication?
    /// Who may ask for content, by address; `nil` for everybody.
    public var access: ClientAccess?

    /// How long a connection to a peer may take.
    public var connectTimeout: Duration = .milliseconds(200)
    /// How long a peer may take to answer with a response head.
    public var headTimeout: Duration = .seconds(2)
    /// How long a peer may send nothing in the middle of a body, while the client takes what comes.
    public var progressTimeout: Duration = .seconds(2)

    /// Content up to this size is held back until its digest was checked, so that a wrong copy costs a try at the
    /// next peer.
    public var checkedSize = 8 << 20
    /// How many bytes all transfers together may hold back. Beyond, only the end of content is held back.
    public var maximumHeldBytes = 32 << 20

    /// How many bodies are sent to other nodes at a time.
    public var maximumUploads = 256
    /// How many of them to one node.
    public var maximumUploadsPerPeer = 64
    /// How many blobs are fetched from other nodes at a time.
    public var maximumDownloads = 256
    /// How many of them from one node.
    public var maximumDownloadsPerPeer = 64
    /// How many transfers of each direction wait for their turn; each beyond is told at once to come again.
    public var maximumWaitingTransfers = 4096
    /// Bodies up to this size are sent without waiting for a turn.
    public var smallBody: Int64 = 1 << 20
    /// How long another node waits for its turn before it is told to come again. Shorter than ``headTimeout``, so that
    /// no node takes a busy one for dead.
    public var uploadTimeout: Duration = .seconds(1)
    /// How long busy nodes are asked again and again for one request, and how long a turn to fetch is waited for.
    public var busyTimeout: Duration = .seconds(30)
    /// How many bytes are sent to other nodes in a second; `nil` for as many as can be.
    public var uploadRate: Int?
    /// How many are fetched from them.
    public var downloadRate: Int?

    /// When large content of other nodes is hashed on its way.
    public enum Verification: String, Sendable, CaseIterable {
        /// When there is reason to: a client asks again for what it has got, or a peer has sent wrong bytes before.
        case auto
        /// Whenever all of it comes by.
        case always
    }

    /// When large content of other nodes is hashed on its way.
    public var verification = Verification.auto
    /// How long an answer waits for the check of content of this node before anything is sent.
    public var checkTimeout: Duration = .milliseconds(1500)
    /// How long it waits where another node wants nothing but what was checked.
    public var demandedCheckTimeout: Duration = .seconds(10)
    /// How long the end of content waits for its check, which goes on while the rest is sent.
    public var tailTimeout: Duration = .seconds(1)

    /// From how many bytes on the rest of a peer's body is moved by the kernel, where nothing of it has to be seen.
    public var splicedSize = 256 << 10

    /// The most client connections at a time; more wait in the system's queue until one closes.
    public var maximumConnections = 4096
    /// How TCP finds out how fast it may send on the connections of clients: a name that the kernel knows, `cubic` or
    /// `reno`; `nil` for the system's choice, less its timers on the way to clients of the same node.
    public var congestionControl: String?
    /// The length of the system's queue of connections that wait to be accepted.
    public var backlog = 1024
    /// How long the head of a request may take from its first byte, and the first request on a connection.
    public var requestTimeout: Duration = .seconds(10)
    /// How long a connection may stay open between requests.
    public var idleTimeout: Duration = .seconds(60)
    /// How long a client may take nothing of a response before its connection is closed.
    public var stallTimeout: Duration = .seconds(60)
    /// How long transfers may go on after ``RegistryServer/shutdown()`` was called.
    public var shutdownGrace: Duration = .seconds(25)

    /// How long an idle connection to a peer is kept for the next request.
    public var peerIdleTimeout: Duration = .seconds(15)
    /// The most idle connections that an event loop keeps to one address.
    public var maximumIdlePeersPerAddress = 32
    /// The most idle connections that an event loop keeps in all.
    public var maximumIdlePeers = 128

    /// Makes a configuration with default values for all but the address. The program's flags have these defaults too.
    public init(host: String = "", port: Int = 5000) {
        self.host = host
        self.port = port
    }
}
