import DebugPage
import HTTPLimits
import HTTPServer
import NIOCore
import NIOEmbedded
import NIOHTTP1
import OCI
import Registry

extension FuzzTarget {
    private static let digestText = "sha256:" + String(repeating: "0", count: 64)

    /// Heads of requests and of peers' responses, as bytes.
    static let http: [FuzzTarget] = [
        FuzzTarget(
            name: "registry-request",
            divisor: 2,
            dictionary: words,
            samples: {
                [
                    Sample(
                        name: "blob.txt",
                        bytes: Array(
                            "GET /v2/a/blobs/\(digestText)?ns=x.io HTTP/1.1\r\nHost: a\r\nRange: bytes=0-9\r\n\r\n".utf8
                        )
                    ),
                    Sample(
                        name: "tag.txt",
                        bytes: Array(
                            "HEAD http://h/v2/a/manifests/1?ns=x.io HTTP/1.1\r\nhost: h\r\nX-Spegel-Mirrored: true\r\n\r\n"
                                .utf8
                        )
                    ),
                ]
            },
            run: { input in
                heads(of: input, handler: ByteToMessageHandler(HeadReading.makeRequestDecoder())) {
                    (part: HTTPServerRequestPart) in
                    guard case .head(let head) = part else { return false }
                    return HeadReading.asksForContent(head)
                }
            }
        ),
        FuzzTarget(
            name: "page-request",
            divisor: 2,
            dictionary: words + pageWords,
            samples: {
                let form = "reference=alpine%3A3&part=1"
                return [
                    Sample(
                        name: "search.txt",
                        bytes: Array(
                            "GET /debug/web/?reference=docker.io%2Flibrary%2Falpine%3A3&x=a+b HTTP/1.1\r\nHost: a\r\n\r\n"
                                .utf8
                        )
                    ),
                    Sample(
                        name: "pull.txt",
                        bytes: Array(
                            ("POST /debug/web/pull HTTP/1.1\r\nHost: a:9090\r\nOrigin: http://a:9090\r\n"
                                + "Sec-Fetch-Site: same-origin\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                                + "Content-Length: \(form.utf8.count)\r\n\r\n\(form)").utf8
                        )
                    ),
                ]
            },
            run: pageRequest
        ),
        FuzzTarget(
            name: "peer-response",
            divisor: 2,
            dictionary: words,
            samples: {
                [
                    Sample(
                        name: "whole.txt",
                        bytes: Array(
                            ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Type: application/octet-stream\r\n"
                                + "Docker-Content-Digest: \(digestText)\r\n\r\n0123456789").utf8
                        )
                    ),
                    Sample(
                        name: "part.txt",
                        bytes: Array(
                            "HTTP/1.1 206 Partial Content\r\nContent-Length: 10\r\nContent-Range: bytes 10-19/100\r\n\r\n"
                                .utf8
                        )
                    ),
                ]
            },
            run: { input in
                heads(of: input, handler: ByteToMessageHandler(HeadReading.makeResponseDecoder()), request: .GET) {
                    (part: HTTPClientResponsePart) in
                    guard case .head(let head) = part else { return false }
                    let digest = try? Digest(digestText)
                    let whole = HeadReading.isRelayed(head, kind: .blob, digest: digest, range: nil)
                    let part = HeadReading.isRelayed(
                        head,
                        kind: .blob,
                        digest: digest,
                        range: .closed(first: 10, last: 19)
                    )
                    let manifest = HeadReading.isRelayed(head, kind: .manifest, digest: nil, range: nil)
                    return whole || part || manifest
                }
            }
        ),
    ]

    private static let words = [
        "HTTP/1.1", "\r\n", "\r\n\r\n", "Content-Length: ", "Transfer-Encoding: chunked\r\n", "Content-Range: bytes ",
        "bytes */0",
        "Content-Encoding: gzip\r\n", "9223372036854775807", "-1", "416", "206", "200", "HEAD", "Host: ",
        "100 Continue",
    ].map { Array($0.utf8) }

    private static let pageWords = [
        "POST ", "/debug/web/", "?reference=", "&", "=", "%", "%00", "%3C", "+", "#", "Origin: ", "Sec-Fetch-Site: ",
        "Content-Type: application/x-www-form-urlencoded\r\n", "<script>", "\"", "alpine",
    ].map { Array($0.utf8) }

    /// A request to the metrics address, up to the page's result of a search.
    private static func pageRequest(_ input: [UInt8]) -> Bool {
        var request: HTTPRequestHead?
        var form: [UInt8] = []
        return heads(of: input, handler: ByteToMessageHandler(DecoderLimits.makeRequestDecoder())) {
            (part: HTTPServerRequestPart) in
            switch part {
            case .head(let head):
                request = head
                form = []
                return false
            case .body(let bytes):
                form += bytes.readableBytesView
                return false
            case .end:
                guard let head = request.take(),
                    let asked = ServerRequest(head, form: head.isForm ? form : nil)
                else { return false }
                check(asked.parameters[""] == nil, "a parameter has a name")
                _ = asked.origin.isOwn
                guard let reference = asked.parameters["reference"] else { return false }
                do {
                    _ = try ImageName(reference)
                    return true
                } catch {
                    let result = SearchResult.failure("\(error)").fragment
                    check(result.split(separator: "<").count == 2, "no text becomes markup: \(result)")
                    return false
                }
            }
        }
    }

    /// Whether a head in the input is valid.
    private static func heads<Part>(
        of input: [UInt8],
        handler: any ChannelHandler,
        request: HTTPMethod? = nil,
        isValid: (Part) -> Bool
    ) -> Bool {
        let channel = EmbeddedChannel(handler: handler)
        defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
        if let request {
            // A response is parsed only after its request was written.
            let head = HTTPRequestHead(version: .http1_1, method: request, uri: "/")
            _ = try? channel.writeOutbound(HTTPClientRequestPart.head(head))
        }
        _ = try? channel.writeInbound(ByteBuffer(bytes: input))
        var isTaken = false
        while let part = try? channel.readInbound(as: Part.self) {
            if isValid(part) { isTaken = true }
        }
        return isTaken
    }
}
