import FoundationEssentials
import HTTPClient
import NIOPosix
import StructuredText

/// Asks a running node what its page shows, see docs/api.md.
struct NodeAPI {
    let url: HTTPURL
    var timeout = Duration.seconds(30)

    /// An answer, as it came and as it was read.
    struct Answer {
        var bytes: [UInt8]
        var json: JSONValue
    }

    /// Why a node does not tell.
    enum Failure: Error, Hashable, CustomStringConvertible {
        /// Nobody listens there, or answers in time.
        case unreachable(String, address: String)
        /// It is the address of a registry.
        case registry(address: String)
        /// It is a node whose page is turned off.
        case turnedOff(address: String)
        /// It is something else.
        case notANode(address: String, status: Int)
        /// The node answered with an error.
        case refused(String)

        var description: String {
            switch self {
            case .unreachable(let reason, let address):
                "no node answers: \(reason). See whether it runs ('curl \(address)/readyz'), or name its --metrics-addr "
                    + "with --address"
            case .registry(let address):
                "\(address) is a node's registry: name its --metrics-addr, usually port 9090, with --address"
            case .turnedOff(let address):
                "the node at \(address) tells nothing: it runs with --debug-web-enabled=false, or is of an older version"
            case .notANode(let address, let status):
                "\(address) is no node's metrics address: it answers with status \(status). Name --metrics-addr, usually "
                    + "port 9090, with --address"
            case .refused(let reason): reason
            }
        }
    }

    /// Gets one of the node's documents.
    func get(_ path: String) async throws -> Answer {
        let response = try await send(path)
        let json = try? JSONDecoder().decode(JSONValue.self, from: Data(response.body))
        if response.status == 200, let json, case .object = json { return Answer(bytes: response.body, json: json) }
        if response.status != 404, let error = json?["error"]?.text { throw Failure.refused(Plain.text(error)) }
        throw await explanation(of: response.status)
    }

    /// What listens there, when it is not what was expected.
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
            return try await client.send(HTTPRequest(path: path), timeout: timeout)
        } catch let error as HTTPClientError {
            throw Failure.unreachable("\(error)", address: "\(url)")
        }
    }

    /// A value as a query has it. RFC 3986, section 2.1.
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
