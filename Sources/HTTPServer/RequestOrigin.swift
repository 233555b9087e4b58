/// The fields of a request that say where it goes and which page made it.
public struct RequestOrigin: Hashable, Sendable {
    /// The field `Host`.
    public var host: String?
    /// The field `Origin`, which browsers send with each POST.
    public var origin: String?
    /// The field `Sec-Fetch-Site`, which browsers send where they trust the connection.
    public var fetchSite: String?

    /// Makes the fields.
    public init(host: String? = nil, origin: String? = nil, fetchSite: String? = nil) {
        self.host = host
        self.origin = origin
        self.fetchSite = fetchSite
    }

    /// Whether no page of another origin made the request. A client that sends neither field is no browser, so no page
    /// can have made its user send the request.
    public var isOwn: Bool {
        if let fetchSite, fetchSite != "same-origin" { return false }
        guard let origin else { return true }
        guard let host, let scheme = ["http://", "https://"].first(where: origin.hasPrefix) else { return false }
        return origin.dropFirst(scheme.count).lowercased() == host.lowercased()
    }
}
