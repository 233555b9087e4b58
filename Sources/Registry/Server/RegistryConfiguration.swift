import Membership
import OCI
import Routing

/// The settings of a ``RegistryServer``. All times are wall-clock durations, all sizes are in bytes.
public struct RegistryConfiguration: Sendable {
    /// The address or host name to listen on; an empty one means all addresses.
    public var host: String
    /// The TCP port to listen on; 0 lets the system choose.
    public var port: Int

    /// The zone of this node, which it tells other nodes with each answer; `nil` when it is not known.
    public var zone: Zone?
    /// The zones of other nodes. The registry notes the zone in their answers.
    public var peerZones = PeerZones()
    /// What is answered and looked up: of which registries and images, and whether by tag.
    public var filter = ContentFilter()
    /// The upstream registry of clients' requests that name none; `nil` for none. Such requests are answered by digest.
    public var defaultRegistry: RegistryName?
    /// The credentials that clients must have, and that other nodes are sent; `nil` for none.
    public var authentication: BasicAuthentication?
    /// Whether other nodes are sent the password itself, as Spegel in Go needs it, and not a proof.
    public var sendsPassword = false
    /// The cluster keys, one of which nodes must prove to know; `nil` without.
    public var membership: KeyRing?
    /// The id of this node, to which other nodes address their proofs.
    public var peerID = ""
    /// The clients that may ask for content, by address; `nil` for all.
    public var access: ClientAccess?

    /// The connections of clients.
    public var clients = ClientSettings()
    /// Finding peers and asking them.
    public var peers = PeerSettings()
    /// How many transfers run at a time, and how fast.
    public var transfers = TransferSettings()
    /// What is verified, and how long answers wait for that.
    public var checks = CheckSettings()

    /// Makes a configuration with default values for all but the address. The program's flags have these defaults too.
    public init(host: String = "", port: Int = 5000) {
        self.host = host
        self.port = port
    }
}
