import FoundationEssentials
import HTTPClient
import NIOCore
import StructuredText

/// Reads the progress of one DaemonSet and its pods through the API server.
public struct DaemonSetClient: Sendable {
    /// The state of the DaemonSet.
    public enum State: Hashable, Sendable {
        /// The controller has not counted the nodes yet.
        case uncounted
        /// All pods are ready, on this number of nodes.
        case ready(nodes: Int)
        /// The number of nodes that are to have a pod, and the pods.
        case inProgress(desired: Int, pods: [DaemonSetPod])
    }

    /// An error of a request, with what to do about it.
    public struct Failure: Error, CustomStringConvertible {
        /// What was asked for, what was answered, and what to do.
        public let description: String
    }

    private let access: ClusterAccess
    private let name: DaemonSetName
    private let userAgent: String
    private let client: HTTPClient

    /// The maximum size of a response in bytes.
    private static let limit = 16 << 20
    /// The number of pods in one response.
    private static let pageSize = 250
    /// The maximum number of responses that make up a list.
    private static let maximumPages = 100

    /// Creates a client. It connects with the first request.
    public init(access: ClusterAccess, name: DaemonSetName, userAgent: String, group: any EventLoopGroup) {
        self.access = access
        self.name = name
        self.userAgent = userAgent
        client = HTTPClient(url: access.server, group: group, limit: Self.limit, tls: access.tlsSettings)
    }

    /// Reads the DaemonSet, and its pods unless all are ready.
    ///
    /// - Parameter timeout: the time for each request.
    /// - Throws: ``Failure`` or `CancellationError`.
    public func state(timeout: Duration) async throws -> State {
        let path = "/apis/apps/v1/namespaces/\(name.namespace)/daemonsets/\(name.name)"
        let body = try await get(path, "get the DaemonSet \(name)", timeout: timeout)
        guard let progress = DaemonSetProgress(json: body) else {
            throw Failure(description: "expected the DaemonSet \(name) from the API server, found another document")
        }
        guard let desired = progress.desired else { return .uncounted }
        if progress.ready >= desired { return .ready(nodes: desired) }
        return .inProgress(desired: desired, pods: try await pods(progress.selector, timeout: timeout))
    }

    /// Closes the connection.
    public func close() async {
        await client.close()
    }

    private func pods(_ selector: String, timeout: Duration) async throws -> [DaemonSetPod] {
        var pods: [DaemonSetPod] = []
        var next: String?
        for _ in 0..<Self.maximumPages {
            var path = "/api/v1/namespaces/\(name.namespace)/pods?limit=\(Self.pageSize)"
            path += "&labelSelector=\(Self.encoded(selector))"
            if let next { path += "&continue=\(Self.encoded(next))" }
            let body = try await get(path, "list the pods of the DaemonSet \(name)", timeout: timeout)
            guard let list = try? JSONDecoder().decode(JSONValue.self, from: Data(body)) else {
                throw Failure(description: "expected a list of pods from the API server, found another document")
            }
            pods += (list["items"]?.items ?? []).compactMap(DaemonSetPod.init)
            guard let token = list["metadata"]?["continue"]?.text, !token.isEmpty else { break }
            next = token
        }
        return pods
    }

    private func get(_ path: String, _ action: String, timeout: Duration) async throws -> [UInt8] {
        var fields = [(name: "Accept", value: "application/json"), (name: "User-Agent", value: userAgent)]
        let response: HTTPResponse
        do {
            if let token = try access.token() { fields.append((name: "Authorization", value: "Bearer \(token)")) }
            let request = HTTPRequest(path: access.server.path + path, fields: fields)
            response = try await client.send(request, timeout: timeout)
        } catch let error as CancellationError {
            throw error
        } catch {
            throw Failure(description: "cannot \(action): API server unreachable: \(error)")
        }
        guard response.status == 200 else {
            let reason = APIError.message(in: response.body) ?? "status \(response.status)"
            let help =
                response.status == 403
                ? "; grant the service account get on daemonsets of apps, and list on pods, in \(name.namespace)" : ""
            throw Failure(description: "cannot \(action): \(reason)\(help)")
        }
        return response.body
    }

    /// The percent-encoding of a value in a query.
    private static func encoded(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF")
        return text.utf8.reduce(into: "") { result, byte in
            let scalar = Unicode.Scalar(byte)
            let isPlain =
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || "-._~".unicodeScalars.contains(scalar)
            if isPlain {
                result.unicodeScalars.append(scalar)
            } else {
                result += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }
    }
}
