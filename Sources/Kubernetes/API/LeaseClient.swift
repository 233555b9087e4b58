import HTTPClient
import NIOCore

/// A store of one Lease.
protocol LeaseStore: Sendable {
    /// Performs a request within `timeout`.
    ///
    /// - Throws: ``APIError`` or `CancellationError` for a failure that is no outcome of an election.
    func perform(
        _ request: LeaderElection.Request,
        timeout: Duration
    ) async throws -> LeaderElection.Outcome

    /// Closes the connection.
    func close() async
}

/// Reads and writes one Lease through the API server.
struct LeaseClient: LeaseStore {
    private let access: ClusterAccess
    private let name: LeaseName
    private let client: HTTPClient
    private let userAgent: String

    /// The maximum size of a Lease in bytes.
    private static let limit = 256 * 1024

    init(access: ClusterAccess, name: LeaseName, userAgent: String, group: any EventLoopGroup) {
        self.access = access
        self.name = name
        self.userAgent = userAgent
        client = HTTPClient(url: access.server, group: group, limit: Self.limit, tls: access.tlsSettings)
    }

    func perform(
        _ request: LeaderElection.Request,
        timeout: Duration
    ) async throws -> LeaderElection.Outcome {
        let response: HTTPResponse
        do {
            response = try await client.send(try http(request), timeout: timeout)
        } catch let error as CancellationError {
            throw error
        } catch HTTPClientError.timedOut {
            throw APIError.noAnswer("API server at \(access.server.authority) timed out")
        } catch {
            throw APIError.noAnswer("API server unreachable: \(error)")
        }
        return try outcome(of: response, to: request)
    }

    func close() async {
        await client.close()
    }

    private func http(_ request: LeaderElection.Request) throws -> HTTPRequest {
        var fields = [
            (name: "Accept", value: "application/json"), (name: "User-Agent", value: userAgent),
        ]
        if let token = try access.token() { fields.append((name: "Authorization", value: "Bearer \(token)")) }
        let collection = access.server.path + name.collectionPath
        let object = "\(collection)/\(name.name)"
        guard let body = request.body(name: name) else { return HTTPRequest(path: object, fields: fields) }
        fields.append((name: "Content-Type", value: "application/json"))
        if case .create = request {
            return HTTPRequest(method: "POST", path: collection, fields: fields, body: body)
        }
        return HTTPRequest(method: "PUT", path: object, fields: fields, body: body)
    }

    private func outcome(
        of response: HTTPResponse,
        to request: LeaderElection.Request
    ) throws(APIError) -> LeaderElection.Outcome {
        switch (response.status, request) {
        case (200...299, _):
            guard let lease = Lease(json: response.body) else {
                throw unexpected(response, request, message: "without a Lease")
            }
            return .lease(lease)
        case (401, _): throw .unauthorized(server: access.server.authority)
        case (403, _): throw .forbidden(verb: request.verb, lease: name, message: APIError.message(in: response.body))
        case (404, .create): throw .noNamespace(name)
        case (404, _): return .absent
        case (409, .create), (409, .update): return .conflict
        default: throw unexpected(response, request, message: APIError.message(in: response.body))
        }
    }

    private func unexpected(
        _ response: HTTPResponse,
        _ request: LeaderElection.Request,
        message: String?
    ) -> APIError {
        .unexpected(verb: request.verb, lease: name, status: response.status, message: message)
    }
}

extension LeaderElection.Request {
    /// The verb for a Role.
    var verb: String {
        switch self {
        case .get: "get"
        case .create: "create"
        case .update: "update"
        }
    }

    fileprivate func body(name: LeaseName) -> [UInt8]? {
        switch self {
        case .get: nil
        case .create(let change): Lease.json(creating: change, name: name, now: MicroTime.now())
        case .update(let lease, let change): lease.json(changedBy: change, name: name, now: MicroTime.now())
        }
    }
}
