import NIOHTTP1
import OCI
import Routing

/// What a client may ask for.
enum ClientRights: Hashable, Sendable {
    /// All that there is.
    case all
    /// Nothing but the node's health: the client's address is not allowed.
    case wrongAddress
    /// The same, since the request has no credentials or wrong ones.
    case wrongCredentials
}

/// What a request's head asks this node to do. Pure: it depends on the head, the configuration and what the client may
/// ask for alone.
enum RequestPlan: Hashable, Sendable {
    /// `/v2/`
    case base
    /// `/livez`
    case live
    /// `/readyz`
    case ready
    /// A manifest or a blob.
    case content(ContentRequest)
    /// An error of the distribution API.
    case refuse(DistributionError)
    /// Another error: a status and a few words.
    case reject(HTTPResponseStatus, String)
}

/// A request for a manifest or a blob.
struct ContentRequest: Hashable, Sendable {
    /// What is asked for.
    var content: DistributionRequest
    /// The key under which it is known.
    var key: String
    /// Whether only the head is wanted.
    var isHead: Bool
    /// The range that is wanted; only of a blob with GET, the one method for which RFC 9110 defines ranges.
    var range: ByteRange?
    /// What the client has already: it is not sent again.
    var noneMatch: EntityTagCondition?
    /// Whether a peer asks, who must never be forwarded.
    var isFromPeer: Bool
    /// Whether it comes from outside of the cluster, as whoever configures such a client tells with a header.
    var isExternal = false
    /// Whether the peer wants the content checked against its digest before anything of it is sent.
    var wantsCheck = false
}

/// The header that marks a request from another node.
let mirroredHeaderName = "X-Spegel-Mirrored"

/// The header of a request from another node that has reason to doubt what it got: the content is to be checked against
/// its digest first.
let checkHeaderName = "X-Spegel-Check"

/// The header of an answer that says that the content was checked just now.
let checkedHeaderName = "X-Spegel-Checked"

/// The header of an answer to another node that says in which zone this one is.
let zoneHeaderName = "X-Spegel-Zone"

/// The header that marks a request from outside of the cluster; it only matters for metrics.
let externalHeaderName = "X-Spegel-External"

/// The header of a relayed answer that names the registry of the peer that it comes from.
let sourceHeaderName = "X-Spegel-Source"

extension RequestPlan {
    /// Whether the client may not ask for content.
    var isRefusal: Bool {
        if case .refuse(let error) = self { error.code == .denied || error.code == .unauthorized } else { false }
    }

    /// Reads a request's head.
    init(_ head: HTTPRequestHead, configuration: RegistryConfiguration, rights: ClientRights = .all) {
        self = Self.plan(head, configuration, rights)
    }

    private static func plan(
        _ head: HTTPRequestHead,
        _ configuration: RegistryConfiguration,
        _ rights: ClientRights
    ) -> RequestPlan {
        // RFC 9112, section 3.2.
        let hosts = head.headers["Host"].count
        guard hosts == 1 || (hosts == 0 && head.version.minor < 1) else {
            return .reject(.badRequest, "a request has exactly one Host header")
        }
        guard head.uri.utf8.count <= DistributionRequest.maximumLength else {
            return .reject(.uriTooLong, "a request target has at most \(DistributionRequest.maximumLength) bytes")
        }
        let target = originForm(head.uri)
        let isRead = head.method == .GET || head.method == .HEAD
        let path = target[..<(target.utf8.firstIndex(of: UInt8(ascii: "?")) ?? target.endIndex)]
        if path == "/livez" || path == "/readyz" {
            guard isRead else { return .reject(.methodNotAllowed, "only GET and HEAD are answered here") }
            return path == "/livez" ? .live : .ready
        }
        guard path == "/v2" || path.hasPrefix("/v2/") else { return .reject(.notFound, "there is nothing here") }
        switch rights {
        case .all: break
        case .wrongAddress: return .refuse(DistributionError(.denied, "clients at this address are not allowed here"))
        case .wrongCredentials:
            return .refuse(DistributionError(.unauthorized, "a user name and a password are needed, and must be right"))
        }
        guard isRead else { return .refuse(DistributionError(.unsupported, "this registry can only be read")) }
        do {
            switch try DistributionRequest.parse(target: target) {
            case nil: return .reject(.notFound, "there is nothing here")
            case .base: return .base
            case .content(let content): return plan(content, head, configuration)
            }
        } catch {
            return .refuse(error)
        }
    }

    private static func plan(
        _ content: DistributionRequest,
        _ head: HTTPRequestHead,
        _ configuration: RegistryConfiguration
    ) -> RequestPlan {
        guard configuration.filter.allows(content) else { return .refuse(content.notFound) }
        guard let key = content.key else {
            let message = "a manifest is found by its tag only when the parameter ns names its registry"
            return .refuse(DistributionError(.manifestUnknown, message))
        }
        var range: ByteRange?
        let ranges = head.headers["Range"]
        if head.method == .GET, content.kind == .blob, ranges.count == 1, let value = ranges.first,
            case .single(let parsed) = ByteRange.parse(header: value)
        {
            // RFC 9110, section 13.1.5: a range holds only for the representation that the client has a part of.
            let condition = head.headers["If-Range"]
            range = condition.isEmpty || condition == ["\"\(key)\""] ? parsed : nil
        }
        let isFromPeer = isTrue(head.headers.first(name: mirroredHeaderName))
        return .content(
            ContentRequest(
                content: content,
                key: key,
                isHead: head.method == .HEAD,
                range: range,
                noneMatch: EntityTagCondition(head.headers["If-None-Match"]),
                isFromPeer: isFromPeer,
                isExternal: isTrue(head.headers.first(name: externalHeaderName)),
                wantsCheck: isFromPeer && isTrue(head.headers.first(name: checkHeaderName))
            )
        )
    }

    private static func isTrue(_ value: String?) -> Bool {
        value?.lowercased() == "true"
    }

    /// RFC 9112, section 3.2.2: a server takes a target in absolute form, too.
    private static func originForm(_ uri: String) -> Substring {
        guard !uri.hasPrefix("/") else { return Substring(uri) }
        for scheme in ["http://", "https://"] where uri.lowercased().hasPrefix(scheme) {
            let rest = uri.dropFirst(scheme.count)
            return rest.firstIndex(of: "/").map { rest[$0...] } ?? "/"
        }
        return Substring(uri)
    }
}
