public import Multiformats

/// A message of the swarm protocol, between a member of a crowd and the coordinator of its key.
///
/// Those of a member change the coordinator's soft state; those of a coordinator say what the member does next. Each is
/// complete in itself, so that a lost or late one does no harm.
public struct SwarmMessage: Hashable, Sendable {
    /// The crowd.
    public var key: CrowdKey
    /// What it says.
    public var body: Body

    /// The kinds of messages.
    public enum Body: Hashable, Sendable {
        /// A member needs the content, or tells a new coordinator where it stands.
        case join(Join)
        /// A member reports how far it has come.
        case progress(Progress)
        /// A member needs the content no more and cannot serve it.
        case leave
        /// The member reads from a source.
        case place(Place)
        /// The member stays as it is: it waits for a place, or reads on from its source.
        case wait
        /// The member gets the content from the upstream registry, from the byte it has reached.
        case lead
        /// Another node coordinates the crowd.
        case elsewhere(Source)
        /// The coordinator does not know the member, which joins anew.
        case unknown
    }

    /// A node with its addresses, each in binary form.
    public struct Source: Hashable, Sendable {
        /// The identity.
        public var id: PeerID
        /// Its addresses as it announces them. The receiver parses them.
        public var addresses: [[UInt8]]

        /// Creates a source.
        public init(id: PeerID, addresses: [[UInt8]] = []) {
            self.id = id
            self.addresses = addresses
        }
    }

    /// What a coordinator needs to know of a new member.
    public struct Join: Hashable, Sendable {
        /// The state of the member.
        public var progress: Progress
        /// The size of the content; 0 if it is unknown.
        public var size: Int64
        /// Whether others can read the content from the member while it comes.
        public var canServe: Bool
        /// The zone; empty for none.
        public var zone: String
        /// The addresses at which others reach the member.
        public var addresses: [[UInt8]]
        /// The source that it reads from already, by the word of another coordinator.
        public var source: PeerID?

        /// Creates the description of a member.
        public init(
            progress: Progress = Progress(),
            size: Int64 = 0,
            canServe: Bool = true,
            zone: String = "",
            addresses: [[UInt8]] = [],
            source: PeerID? = nil
        ) {
            self.progress = progress
            self.size = size
            self.canServe = canServe
            self.zone = zone
            self.addresses = addresses
            self.source = source
        }
    }

    /// The state of a member.
    public struct Progress: Hashable, Sendable {
        /// The number of bytes that others can read from the member.
        public var position: Int64
        /// Where the member gets the content from.
        public var supply: Supply
        /// The number of the place that it has; 0 for none.
        public var round: UInt32
        /// How long its source has sent nothing, in milliseconds.
        public var starved: UInt32
        /// The time to its next report, in milliseconds.
        public var nextReport: UInt32
        /// Whether the member expects an answer.
        public var asks: Bool
        /// Sources that it could not read from.
        public var failed: [PeerID]

        /// Creates a report.
        public init(
            position: Int64 = 0,
            supply: Supply = .none,
            round: UInt32 = 0,
            starved: UInt32 = 0,
            nextReport: UInt32 = 0,
            asks: Bool = false,
            failed: [PeerID] = []
        ) {
            self.position = position
            self.supply = supply
            self.round = round
            self.starved = starved
            self.nextReport = nextReport
            self.asks = asks
            self.failed = failed
        }
    }

    /// Where a member gets the content from.
    public enum Supply: Int32, Hashable, Sendable {
        /// From nowhere: it needs a place.
        case none = 0
        /// From a source.
        case source = 1
        /// From the upstream registry.
        case upstream = 2
        /// It has all of it.
        case complete = 3
    }

    /// A place at a source.
    public struct Place: Hashable, Sendable {
        /// The source, and others to fall back on. Without any the member leaves its source and waits.
        public var sources: [Source]
        /// The number of the place, which increases with each place of a member.
        public var round: UInt32

        /// Creates a place.
        public init(sources: [Source], round: UInt32) {
            self.sources = sources
            self.round = round
        }
    }

    /// Creates a message.
    public init(key: CrowdKey, body: Body) {
        self.key = key
        self.body = body
    }
}
