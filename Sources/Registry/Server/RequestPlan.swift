import NIOHTTP1
import OCI
import Routing

/// What a request's head asks this node to do. Pure: it depends on the head, the configuration and the client's rights
/// alone.
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

    /// Reads a request's head.
    ///
    /// - Parameter fields: the header fields of the head.
    init(
        _ head: HTTPRequestHead,
        _ fields: RequestFields,
        configuration: RegistryConfiguration,
        rights: ClientRights = .all
    ) {
        self = Self.plan(head, fields, configuration, rights)
    }

    /// Why the client may not ask for content, if it may not.
    func rejection(_ rights: ClientRights) -> ClientRejection? {
        guard case .refuse(let error) = self else { return nil }
        return switch error.code {
        case .denied:
            switch rights {
            case .unproven: .proof
            case .expired: .expired
            case .all, .wrongAddress, .wrongCredentials: .address
            }
        case .unauthorized: .credentials
        default: nil
        }
    }

    private static func plan(
        _ head: HTTPRequestHead,
        _ fields: RequestFields,
        _ configuration: RegistryConfiguration,
        _ rights: ClientRights
    ) -> RequestPlan {
        // RFC 9112, section 3.2.
        guard fields.hosts == 1 || (fields.hosts == 0 && head.version.minor < 1) else {
            return .reject(.badRequest, "a request has exactly one Host header")
        }
        guard head.uri.utf8.count <= DistributionRequest.maximumLength else {
            return .reject(.uriTooLong, "a request target has at most \(DistributionRequest.maximumLength) bytes")
        }
        let target = originForm(head.uri)
        let isRead = head.method == .GET || head.method == .HEAD
        let handler = handler(of: target)
        switch handler {
        case .live, .ready:
            guard isRead else { return .reject(.methodNotAllowed, "only GET and HEAD are answered here") }
            return handler == .live ? .live : .ready
        case .other: return .reject(.notFound, "there is nothing here")
        case .content: break
        }
        switch rights {
        case .all: break
        case .wrongAddress: return .refuse(DistributionError(.denied, "clients at this address are not allowed here"))
        case .unproven:
            return .refuse(DistributionError(.denied, "nodes need a valid proof of the cluster key or the password"))
        case .expired: return .refuse(DistributionError(.denied, "the proof has expired, or a clock is wrong"))
        case .wrongCredentials:
            return .refuse(DistributionError(.unauthorized, "a user name and a password are needed, and must be right"))
        }
        guard isRead else { return .refuse(DistributionError(.unsupported, "this registry can only be read")) }
        do {
            // Nodes name the registry in the query, as nodes of Spegel in Go do.
            let fallback =
                fields.isFromPeer ? .none : DistributionRequest.Fallback.path(default: configuration.defaultRegistry)
            switch try DistributionRequest.parse(target: target, fallback: fallback) {
            case nil: return .reject(.notFound, "there is nothing here")
            case .base: return .base
            case .content(let content): return plan(content, head, fields, configuration)
            }
        } catch {
            return .refuse(error)
        }
    }

    private static func plan(
        _ content: DistributionRequest,
        _ head: HTTPRequestHead,
        _ fields: RequestFields,
        _ configuration: RegistryConfiguration
    ) -> RequestPlan {
        guard configuration.filter.allows(content) else { return .refuse(content.notFound) }
        guard let key = content.key else {
            let message = """
                a tag needs a registry: expected one in the parameter ns, at the start of the path, or in \
                --default-registry, found none
                """
            return .refuse(DistributionError(.manifestUnknown, message))
        }
        return .content(
            ContentRequest(
                content: content,
                key: key,
                isHead: head.method == .HEAD,
                range: head.method == .GET && content.kind == .blob ? range(fields, key) : nil,
                noneMatch: EntityTagCondition(fields.noneMatch),
                isFromPeer: fields.isFromPeer,
                isExternal: fields.isExternal,
                wantsCheck: fields.isFromPeer && fields.wantsCheck
            )
        )
    }

    /// RFC 9110, section 13.1.5: a range holds only for the representation that the client has a part of.
    private static func range(_ fields: RequestFields, _ key: String) -> ByteRange? {
        guard fields.ranges.count == 1, case .single(let range) = ByteRange.parse(header: fields.ranges[0]) else {
            return nil
        }
        let isSame = fields.rangeConditions.isEmpty || fields.rangeConditions == ["\"\(key)\""]
        return isSame ? range : nil
    }

    // MARK: The target

    /// The part of the server that a target names.
    static func handler(of target: some StringProtocol) -> RequestHandler {
        let bytes = target.utf8
        if bytes.starts(with: "/v2/".utf8) { return .content }
        let path = bytes.prefix { $0 != UInt8(ascii: "?") }
        if path.elementsEqual("/readyz".utf8) { return .ready }
        if path.elementsEqual("/livez".utf8) { return .live }
        return path.elementsEqual("/v2".utf8) ? .content : .other
    }

    /// RFC 9112, section 3.2.2: a server takes a target in absolute form, too.
    private static func originForm(_ uri: String) -> Substring {
        guard uri.utf8.first != UInt8(ascii: "/") else { return Substring(uri) }
        for scheme in ["http://", "https://"] where uri.lowercased().hasPrefix(scheme) {
            let rest = uri.dropFirst(scheme.count)
            return rest.firstIndex(of: "/").map { rest[$0...] } ?? "/"
        }
        return Substring(uri)
    }
}
