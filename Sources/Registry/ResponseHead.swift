import NIOCore
import NIOHTTP1
import OCI

/// The response heads that this registry sends, less what concerns the connection.
extension HTTPResponseHead {
    /// The head of an answer with content: all of it, or a range.
    static func content(
        size: Int64,
        range: Range<Int64>,
        isPartial: Bool,
        mediaType: String,
        digest: Digest?,
        kind: DistributionRequest.Kind
    ) -> HTTPResponseHead {
        var headers = HTTPHeaders()
        headers.reserveCapacity(8)
        headers.add(name: "Content-Type", value: mediaType)
        headers.add(name: "Content-Length", value: String(range.upperBound - range.lowerBound))
        if let digest {
            headers.add(name: "Docker-Content-Digest", value: digest.text)
            headers.add(name: "ETag", value: "\"\(digest.text)\"")
        }
        if kind == .blob { headers.add(name: "Accept-Ranges", value: "bytes") }
        if isPartial { headers.add(name: "Content-Range", value: ByteRange.contentRange(range, size: size)) }
        return HTTPResponseHead(version: .http1_1, status: isPartial ? .partialContent : .ok, headers: headers)
    }

    /// The head of the answer to a client that has the content already. RFC 9110, section 15.4.5.
    static func notModified(digest: Digest) -> HTTPResponseHead {
        let headers: HTTPHeaders = ["Docker-Content-Digest": digest.text, "ETag": "\"\(digest.text)\""]
        return HTTPResponseHead(version: .http1_1, status: .notModified, headers: headers)
    }

    /// The head of an error of the distribution API, and its body.
    static func error(_ error: DistributionError) -> (head: HTTPResponseHead, body: String) {
        let body = error.json
        var headers: HTTPHeaders = ["Content-Type": "application/json", "Content-Length": String(body.utf8.count)]
        if error.status == 405 { headers.add(name: "Allow", value: "GET, HEAD") }
        // RFC 9110, section 11.6.1.
        if error.status == 401 {
            headers.add(name: "WWW-Authenticate", value: "Basic realm=\"spegel\", charset=\"UTF-8\"")
        }
        return (HTTPResponseHead(version: .http1_1, status: .init(statusCode: error.status), headers: headers), body)
    }

    /// The head of an answer in plain text, and its body.
    static func text(_ status: HTTPResponseStatus, _ text: String) -> (head: HTTPResponseHead, body: String) {
        let body = text + "\n"
        var headers: HTTPHeaders = [
            "Content-Type": "text/plain; charset=utf-8", "Content-Length": String(body.utf8.count),
        ]
        if status == .methodNotAllowed { headers.add(name: "Allow", value: "GET, HEAD") }
        return (HTTPResponseHead(version: .http1_1, status: status, headers: headers), body)
    }

    /// The answer when this node cannot send for now what it holds. It says nothing of what is held, as 404 would.
    static func unavailable(_ reason: String, key: String) -> (head: HTTPResponseHead, body: String) {
        var answer = error(DistributionError(.tooManyRequests, reason, detail: key))
        answer.head.status = .serviceUnavailable
        answer.head.headers.add(name: "Retry-After", value: "1")
        return answer
    }

    /// The answer to `/v2/`: this registry speaks the API. OCI distribution-spec, end-1.
    static var base: (head: HTTPResponseHead, body: String) {
        let body = "{}"
        let headers: HTTPHeaders = [
            "Content-Type": "application/json", "Content-Length": String(body.utf8.count),
            "Docker-Distribution-Api-Version": "registry/2.0",
        ]
        return (HTTPResponseHead(version: .http1_1, status: .ok, headers: headers), body)
    }

    /// The answer to a range that lies outside of the content, and its body.
    static func rangeNotSatisfiable(size: Int64, key: String) -> (head: HTTPResponseHead, body: String) {
        var answer = error(DistributionError(.rangeInvalid, "the content has \(size) bytes", detail: key))
        answer.head.headers.add(name: "Content-Range", value: "bytes */\(size)")
        return answer
    }
}
