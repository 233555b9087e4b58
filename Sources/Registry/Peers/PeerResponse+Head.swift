import Mirroring
import NIOHTTP1

extension PeerResponse {
    /// The parts of a response head that matter to a transfer.
    init(_ head: HTTPResponseHead) {
        self.init(
            status: Int(head.status.code),
            contentLength: head.headers.first(name: HeaderName.contentLength).flatMap { Int64($0) },
            contentType: head.headers.first(name: HeaderName.contentType),
            contentRange: head.headers.first(name: HeaderName.contentRange),
            contentEncoding: head.headers.first(name: "Content-Encoding"),
            digest: head.headers.first(name: HeaderName.digest),
            isChecked: head.headers.first(name: HeaderName.checked)?.lowercased() == "true"
        )
        mayRetry = head.headers.contains(name: HeaderName.retryAfter)
        proof = head.headers.first(name: HeaderName.proof)
        zone = head.headers.first(name: HeaderName.zone)
    }
}
