import NIOCore
import NIOHTTP1
import OCI

/// The response heads for content, less what concerns the connection.
extension HTTPResponseHead {
    /// The head of an answer with content: all of it, or a range. Fields for peers or people may follow.
    static func content(
        size: Int64,
        range: Range<Int64>,
        isPartial: Bool,
        mediaType: String,
        digest: Digest?,
        of request: DistributionRequest
    ) -> HTTPResponseHead {
        var headers = HTTPHeaders()
        headers.reserveCapacity(8)
        headers.add(name: HeaderName.contentType, value: mediaType)
        headers.add(name: HeaderName.contentLength, value: String(range.upperBound - range.lowerBound))
        if let digest {
            headers.add(name: HeaderName.digest, value: digest.text)
            headers.add(name: HeaderName.entityTag, value: "\"\(digest.text)\"")
        }
        if request.kind == .blob { headers.add(name: HeaderName.acceptRanges, value: "bytes") }
        if let registry = request.registry { headers.add(name: HeaderName.namespace, value: registry.text) }
        if isPartial { headers.add(name: HeaderName.contentRange, value: ByteRange.contentRange(range, size: size)) }
        return HTTPResponseHead(version: .http1_1, status: isPartial ? .partialContent : .ok, headers: headers)
    }

    /// The head of the answer to a client that has the content already. RFC 9110, section 15.4.5.
    static func notModified(digest: Digest) -> HTTPResponseHead {
        let headers: HTTPHeaders = [HeaderName.digest: digest.text, HeaderName.entityTag: "\"\(digest.text)\""]
        return HTTPResponseHead(version: .http1_1, status: .notModified, headers: headers)
    }
}

/// A response whose body is a short text, less what concerns the connection.
struct TextResponse {
    var head: HTTPResponseHead
    var body: String

    private init(_ status: HTTPResponseStatus, _ contentType: String, _ body: String) {
        let headers: HTTPHeaders = [
            HeaderName.contentType: contentType, HeaderName.contentLength: String(body.utf8.count),
        ]
        head = HTTPResponseHead(version: .http1_1, status: status, headers: headers)
        self.body = body
    }

    /// An error of the distribution API.
    static func error(_ error: DistributionError) -> TextResponse {
        var response = TextResponse(.init(statusCode: error.status), "application/json", error.json)
        response.addAllowedMethods()
        // RFC 9110, section 11.6.1.
        if error.status == 401 {
            response.head.headers.add(
                name: HeaderName.authenticate,
                value: "Basic realm=\"spegel\", charset=\"UTF-8\""
            )
        }
        return response
    }

    /// Plain text.
    static func text(_ status: HTTPResponseStatus, _ text: String) -> TextResponse {
        var response = TextResponse(status, "text/plain; charset=utf-8", text + "\n")
        response.addAllowedMethods()
        return response
    }

    /// The answer when this node cannot send for now what it holds. It says nothing of what is held, as 404 would.
    static func unavailable(_ reason: String, key: String) -> TextResponse {
        var response = error(DistributionError(.tooManyRequests, reason, detail: key))
        response.head.status = .serviceUnavailable
        response.head.headers.add(name: HeaderName.retryAfter, value: "1")
        return response
    }

    /// The answer to `/v2/`: this registry speaks the API. OCI distribution-spec, end-1.
    static var base: TextResponse {
        var response = TextResponse(.ok, "application/json", "{}")
        response.head.headers.add(name: HeaderName.apiVersion, value: "registry/2.0")
        return response
    }

    /// The answer to a range that lies outside of the content.
    static func rangeNotSatisfiable(size: Int64, key: String) -> TextResponse {
        var response = error(DistributionError(.rangeInvalid, "the content has \(size) bytes", detail: key))
        response.head.headers.add(name: HeaderName.contentRange, value: "bytes */\(size)")
        return response
    }

    private mutating func addAllowedMethods() {
        if head.status == .methodNotAllowed { head.headers.add(name: HeaderName.allow, value: "GET, HEAD") }
    }
}
