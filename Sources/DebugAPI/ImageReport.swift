/// The nodes that hold an image, its manifests and its layers: the document of `/debug/api/resolve` (docs/api.md).
package struct ImageReport: Codable, Hashable, Sendable {
    /// What a piece of content is.
    package struct Kind: RawRepresentable, Codable, Hashable, Sendable {
        package let rawValue: String

        package init(rawValue: String) { self.rawValue = rawValue }

        package static let tag = Kind(rawValue: "tag")
        package static let index = Kind(rawValue: "index")
        package static let manifest = Kind(rawValue: "manifest")
        package static let config = Kind(rawValue: "config")
        package static let layer = Kind(rawValue: "layer")
        /// Not known: a digest alone does not say.
        package static let content = Kind(rawValue: "content")
    }

    /// The reference as the request has it.
    package var reference: String
    /// The reference in full.
    package var name: String
    package var duration = Duration.zero
    /// Why the image could not be followed to its end.
    package var error: String?
    package var contents: [Content] = []

    private enum CodingKeys: String, CodingKey {
        case reference, name
        case duration = "milliseconds"
        case error, contents
    }

    package init(reference: String, name: String) {
        self.reference = reference
        self.name = name
    }

    /// The image or something that it refers to.
    package struct Content: Codable, Hashable, Sendable {
        package var kind: Kind
        /// The number of documents above this content.
        package var depth: Int
        /// The digest or full tag name that was looked up.
        package var key: String
        package var digest: String?
        package var mediaType: String?
        package var size: Int64?
        /// `linux/amd64`, for a manifest that an index refers to.
        package var platform: String?
        package var isHeldHere: Bool
        /// Whether this node advertises the key.
        package var isAdvertised: Bool
        package var lookup: Lookup
        /// The other nodes that hold the content.
        package var holders: [Holder]

        private enum CodingKeys: String, CodingKey {
            case kind, depth, key, digest, mediaType, size, platform
            case isHeldHere = "heldHere"
            case isAdvertised = "advertised"
            case lookup, holders
        }

        package init(
            kind: Kind,
            depth: Int,
            key: String,
            digest: String?,
            mediaType: String?,
            size: Int64?,
            platform: String? = nil,
            isHeldHere: Bool,
            isAdvertised: Bool,
            lookup: Lookup,
            holders: [Holder]
        ) {
            self.kind = kind
            self.depth = depth
            self.key = key
            self.digest = digest
            self.mediaType = mediaType
            self.size = size
            self.platform = platform
            self.isHeldHere = isHeldHere
            self.isAdvertised = isAdvertised
            self.lookup = lookup
            self.holders = holders
        }
    }

    /// Another node that holds content.
    package struct Holder: Codable, Hashable, Sendable {
        package var peerID: String
        package var zone: String?
        /// The addresses of its router.
        package var addresses: [String]
        /// The addresses at which its registry is expected.
        package var registries: [String]

        private enum CodingKeys: String, CodingKey {
            case peerID = "peer"
            case zone, addresses, registries
        }

        package init(peerID: String, zone: String? = nil, addresses: [String] = [], registries: [String]) {
            self.peerID = peerID
            self.zone = zone
            self.addresses = addresses
            self.registries = registries
        }
    }

    /// A search for the providers of a key.
    package struct Lookup: Codable, Hashable, Sendable {
        /// `found`, `local`, `missed`, `rememberedMiss`, `turnedAway` or `timedOut`.
        package var outcome: String
        package var duration: Duration
        package var hops: Int
        package var requests: [Request]

        private enum CodingKeys: String, CodingKey {
            case outcome
            case duration = "milliseconds"
            case hops, requests
        }

        package init(outcome: String, duration: Duration, hops: Int = 0, requests: [Request] = []) {
            self.outcome = outcome
            self.duration = duration
            self.hops = hops
            self.requests = requests
        }
    }

    /// A request of a lookup to a peer.
    package struct Request: Codable, Hashable, Sendable {
        /// How a request ended.
        package struct Outcome: RawRepresentable, Codable, Hashable, Sendable {
            package let rawValue: String

            package init(rawValue: String) { self.rawValue = rawValue }

            package static let answered = Outcome(rawValue: "answered")
            package static let failed = Outcome(rawValue: "failed")
            /// The lookup ended before the answer.
            package static let unanswered = Outcome(rawValue: "unanswered")
        }

        package var peerID: String
        package var addresses: [String]
        /// Counted from the start of the lookup.
        package var start: Duration
        package var duration: Duration?
        package var outcome: Outcome
        /// The number of closer peers in the answer; `nil` without an answer.
        package var closerPeers: Int?
        /// The number of providers in the answer; `nil` without an answer.
        package var providers: Int?

        private enum CodingKeys: String, CodingKey {
            case peerID = "peer"
            case addresses
            case start = "startMilliseconds"
            case duration = "milliseconds"
            case outcome, closerPeers, providers
        }

        package init(peerID: String, addresses: [String], start: Duration, duration: Duration?, outcome: Outcome) {
            self.peerID = peerID
            self.addresses = addresses
            self.start = start
            self.duration = duration
            self.outcome = outcome
        }
    }
}
