import NIOHTTP1

/// The header fields of a request that the registry looks at, read in one pass.
struct RequestFields: Hashable, Sendable {
    /// How many `Host` fields there are.
    private(set) var hosts = 0
    /// The first of each of these fields.
    private(set) var authorization: String?
    private(set) var expectation: String?
    private(set) var proof: String?
    /// Whether the client wants to change the protocol.
    private(set) var asksForUpgrade = false
    /// All values of these fields.
    private(set) var ranges: [String] = []
    private(set) var rangeConditions: [String] = []
    private(set) var noneMatch: [String] = []
    /// Whether the first of each of these fields is `true`.
    var isFromPeer: Bool { mirrored == true }
    var wantsCheck: Bool { check == true }
    var isExternal: Bool { external == true }

    private var mirrored: Bool?
    private var check: Bool?
    private var external: Bool?

    init(_ headers: HTTPHeaders) {
        for (name, value) in headers { read(name, value) }
    }

    private mutating func read(_ name: String, _ value: String) {
        // The length tells most names apart.
        switch name.utf8.count {
        case 4 where Self.isSame(name, HeaderName.host): hosts += 1
        case 5 where Self.isSame(name, HeaderName.range): ranges.append(value)
        case 6 where Self.isSame(name, HeaderName.expect): expectation = expectation ?? value
        case 7 where Self.isSame(name, HeaderName.upgrade): asksForUpgrade = true
        case 8 where Self.isSame(name, HeaderName.ifRange): rangeConditions.append(value)
        case 13 where Self.isSame(name, HeaderName.ifNoneMatch): noneMatch.append(value)
        case 13 where Self.isSame(name, HeaderName.authorization): authorization = authorization ?? value
        case 14 where Self.isSame(name, HeaderName.proof): proof = proof ?? value
        case 14 where Self.isSame(name, HeaderName.check): check = check ?? Self.isTrue(value)
        case 17 where Self.isSame(name, HeaderName.mirrored): mirrored = mirrored ?? Self.isTrue(value)
        case 17 where Self.isSame(name, HeaderName.external): external = external ?? Self.isTrue(value)
        default: break
        }
    }

    private static func isTrue(_ value: String) -> Bool { isSame(value, "true") }

    /// Whether a text is another one but for the case. The other one has letters and hyphens only, on which the sixth
    /// bit makes no difference but the case.
    private static func isSame(_ text: String, _ other: String) -> Bool {
        text.utf8.elementsEqual(other.utf8) { $0 | 0x20 == $1 | 0x20 }
    }
}
