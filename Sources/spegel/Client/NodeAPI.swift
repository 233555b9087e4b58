import DebugAPI
import FoundationEssentials
import HTTPClient
import NIOPosix

/// A client of a running node's API (docs/api.md).
struct NodeAPI {
    let url: HTTPURL
    /// The value of the field `Authorization`; `nil` without a password.
    var authorization: String?
    var timeout = Duration.seconds(30)

    /// A document, as bytes and decoded.
    struct Answer<Document> {
        var bytes: [UInt8]
        var document: Document
    }

    /// Why there is no document.
    enum Failure: Error, Hashable, CustomStringConvertible {
        /// The connection failed or timed out.
        case unreachable(String, address: String)
        /// The address is that of a registry.
        case registry(address: String)
        /// The node does not serve the API.
        case turnedOff(address: String)
        /// Another program has the address.
        case notANode(address: String, status: Int)
        /// The node answered with an error.
        case refused(String)
        /// The answer is not the expected document.
        case unexpected(UnexpectedDocument)

        var description: String {
            switch self {
            case .unreachable(let reason, let address):
                "no node answers: \(reason). Check that the node runs ('curl \(address)/readyz'), or set --address to its "
                    + "--metrics-addr"
            case .registry(let address):
                "expected the metrics address of a node, got its registry, \(address). Set --address to its "
                    + "--metrics-addr, usually port 9090"
            case .turnedOff(let address):
                "the node at \(address) does not serve its status: it runs with --debug-web-enabled=false, or an older "
                    + "version"
            case .notANode(let address, let status):
                "expected the metrics address of a node, got status \(status) from \(address). Set --address to a "
                    + "node's --metrics-addr, usually port 9090"
            case .refused(let reason): reason
            case .unexpected(let document): document.description
            }
        }
    }

    /// The status of the node.
    func status() async throws -> Answer<NodeStatus> {
        try await get("/debug/api/status", expected: "the status of a node")
    }

    /// The nodes that hold an image or a digest.
    func resolve(_ image: String) async throws -> Answer<ImageReport> {
        try await get("/debug/api/resolve?reference=" + Self.percentEncoded(image), expected: "the report of a lookup")
    }

    private func get<Document: Decodable>(_ path: String, expected: String) async throws -> Answer<Document> {
        let response = try await send(path)
        let body = Data(response.body)
        guard response.status == 200 else {
            if response.status != 404, let error = try? JSONDecoder().decode(ErrorDocument.self, from: body) {
                let advice = response.status == 401 ? ": set --basic-auth-dir to a folder with it" : ""
                throw Failure.refused(Plain.text(error.error) + advice)
            }
            throw await explanation(of: response.status)
        }
        do {
            return Answer(bytes: response.body, document: try JSONDecoder().decode(Document.self, from: body))
        } catch {
            throw Failure.unexpected(UnexpectedDocument(error, expected: expected, address: "\(url)\(path)"))
        }
    }

    /// What the other side is, if it does not serve the API.
    private func explanation(of status: Int) async -> Failure {
        if let metrics = try? await send("/metrics"), metrics.status == 200,
            String(decoding: metrics.body, as: UTF8.self).contains("spegel_")
        {
            return .turnedOff(address: "\(url)")
        }
        if let base = try? await send("/v2/"), base.status == 200 || base.status == 401 {
            return .registry(address: "\(url)")
        }
        return .notANode(address: "\(url)", status: status)
    }

    private func send(_ path: String) async throws -> HTTPResponse {
        let client = HTTPClient(
            url: url,
            group: MultiThreadedEventLoopGroup.singleton,
            limit: 16 << 20,
            keepsConnection: false
        )
        do {
            let fields = authorization.map { [("Authorization", $0)] } ?? []
            return try await client.send(HTTPRequest(path: path, fields: fields), timeout: timeout)
        } catch let error as HTTPClientError {
            throw Failure.unreachable("\(error)", address: "\(url)")
        }
    }

    /// The value of a query parameter (RFC 3986, section 2.1).
    static func percentEncoded(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"), UInt8(ascii: "/"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let hex = String(byte, radix: 16, uppercase: true)
                result += "%" + (hex.count < 2 ? "0" : "") + hex
            }
        }
        return result
    }
}
