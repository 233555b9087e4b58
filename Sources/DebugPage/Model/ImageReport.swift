public import Monitoring

/// Who holds an image, its manifests and its layers (docs/api.md, "Resolve").
public struct ImageReport: Hashable, Sendable {
    /// What a piece of content is.
    public enum Kind: String, Sendable {
        case tag
        case index
        case manifest
        case config
        case layer
        /// Nobody says of what the digest is.
        case content
    }

    /// Another node that holds something.
    public struct Holder: Hashable, Sendable {
        package var peerID: String
        package var zone: String?
        package var registries: [String]

        package init(peerID: String, zone: String? = nil, registries: [String]) {
            self.peerID = peerID
            self.zone = zone
            self.registries = registries
        }
    }

    /// A request of a lookup to another node.
    public struct Request: Hashable, Sendable {
        /// What came of it.
        public enum Outcome: Hashable, Sendable {
            case answered(closerPeers: Int, providers: Int)
            case failed
            case unanswered
        }

        package var peerID: String
        package var addresses: [String]
        /// After the start of the lookup.
        package var start: Duration
        package var duration: Duration?
        package var outcome: Outcome

        package init(peerID: String, addresses: [String], start: Duration, duration: Duration?, outcome: Outcome) {
            self.peerID = peerID
            self.addresses = addresses
            self.start = start
            self.duration = duration
            self.outcome = outcome
        }
    }

    /// A search for the holders of a key.
    public struct Lookup: Hashable, Sendable {
        /// `found`, `local`, `missed`, `rememberedMiss`, `turnedAway` or `timedOut`.
        package var outcome: String
        package var duration: Duration
        package var hops: Int
        package var requests: [Request]
        package var holders: [Holder]

        package init(
            outcome: String,
            duration: Duration,
            hops: Int = 0,
            requests: [Request] = [],
            holders: [Holder] = []
        ) {
            self.outcome = outcome
            self.duration = duration
            self.hops = hops
            self.requests = requests
            self.holders = holders
        }
    }

    /// The image or something that it names.
    public struct Content: Hashable, Sendable {
        package var kind: Kind
        /// How many documents stand above it.
        package var depth: Int
        /// What was looked up: the digest or full tag name.
        package var key: String
        package var digest: String?
        package var mediaType: String?
        package var size: Int64?
        /// As `linux/amd64`, of a manifest that an index names.
        package var platform: String?
        package var isHeldHere: Bool
        package var isAdvertised: Bool
        package var lookup: Lookup

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
            lookup: Lookup
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
        }
    }

    /// As it was asked for.
    package var reference: String
    /// As it was understood.
    package var name: String
    package var duration = Duration.zero
    /// Why it could not be followed to its end.
    package var error: String?
    package var contents: [Content] = []

    package init(reference: String, name: String) {
        self.reference = reference
        self.name = name
    }

    /// The object of `/debug/api/resolve`.
    public var json: JSON {
        .members([
            "reference": reference, "name": name, "milliseconds": duration, "error": error,
            "contents": contents,
        ])
    }
}

extension ImageReport.Kind: JSONRepresentable {}

extension ImageReport.Holder: JSONRepresentable {
    package var json: JSON { .members(["peer": peerID, "zone": zone, "registries": registries]) }
}

extension ImageReport.Content: JSONRepresentable {
    package var json: JSON {
        .members([
            "kind": kind, "depth": depth, "key": key, "digest": digest, "mediaType": mediaType,
            "size": size, "platform": platform, "heldHere": isHeldHere, "advertised": isAdvertised,
            "lookup": JSON.members([
                "outcome": lookup.outcome, "milliseconds": lookup.duration, "hops": lookup.hops,
                "requests": lookup.requests,
            ]),
            "holders": lookup.holders,
        ])
    }
}

extension ImageReport.Request: JSONRepresentable {
    package var json: JSON {
        let request = JSON.members([
            "peer": peerID, "addresses": addresses, "startMilliseconds": start, "milliseconds": duration,
        ])
        return switch outcome {
        case .answered(let closerPeers, let providers):
            request.with(["outcome": "answered", "closerPeers": closerPeers, "providers": providers])
        case .failed: request.with(["outcome": "failed"])
        case .unanswered: request.with(["outcome": "unanswered"])
        }
    }
}
