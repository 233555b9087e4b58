/// The download of a blob from a registry whose responses may be truncated: what to request, from which byte, and when
/// to give up. A value without I/O.
struct BlobDownload: Hashable {
    /// The relevant fields of a response head.
    struct Head: Hashable {
        var status: Int
        /// The length of the body.
        var length: Int64?
        /// The first byte of a range, and the size of the content (`Content-Range`).
        var range: (first: Int64, total: Int64)? {
            get { first.flatMap { first in total.map { (first, $0) } } }
            set { (first, total) = (newValue?.first, newValue?.total) }
        }
        private var first: Int64?
        private var total: Int64?
        /// The source of the bytes: a peer, or `nil` for the node itself.
        var source: String?

        init(status: Int, length: Int64? = nil, range: (first: Int64, total: Int64)? = nil, source: String? = nil) {
            self.status = status
            self.length = length
            self.source = source
            self.range = range
        }
    }

    /// What to do with the body of a response.
    enum Body: Hashable {
        /// Take it, except for this number of bytes at its beginning.
        case take(skipping: Int64)
        /// Discard it and request again.
        case askAgain
        /// Give up.
        case fail(Failure)
    }

    /// What to do after a response has ended.
    enum Next: Hashable {
        case done
        case askAgain
        case fail(Failure)
    }

    /// Why the download failed.
    enum Failure: Error, Hashable, CustomStringConvertible {
        /// No provider is known, after this number of bytes.
        case notFound(received: Int64, size: Int64)
        /// The registry requires credentials, or refuses those that it got.
        case unauthorised
        /// The status is unexpected.
        case refused(status: Int)
        /// The content has another size.
        case wrongSize(expected: Int64, found: Int64, source: String?)
        /// The body is longer than the content.
        case tooLong(source: String?)
        /// Several attempts in a row brought no bytes; the last reason.
        case givenUp(tries: Int, reason: String)

        var description: String {
            switch self {
            case .notFound(0, _): "no provider found in the cluster"
            case .notFound(let received, let size):
                "no provider found for the rest: received \(received) of \(size) bytes"
            case .unauthorised:
                "the registry requires a user name and a password, or refuses those given: set --basic-auth-dir"
            case .refused(let status): "the registry answered with status \(status)"
            case .wrongSize(let expected, let found, let source):
                "expected \(expected) bytes, \(source ?? "the node") offers \(found)"
            case .tooLong(let source): "\(source ?? "the node") sent more bytes than the content has"
            case .givenUp(let tries, let reason): "no bytes in \(tries) attempts; the last: \(reason)"
            }
        }
    }

    /// The number of attempts in a row without bytes, after which the download fails.
    static let maximumTries = 5

    /// The size of the content.
    let size: Int64
    /// The number of bytes received.
    private(set) var received: Int64 = 0
    /// The number of truncated responses that the download continued.
    private(set) var resumptions = 0
    /// The bytes of each source, in order; `nil` is the node itself.
    private(set) var shares: [Share] = []
    private var tries = 0
    private var before: Int64 = 0
    private var skipping: Int64 = 0

    /// The bytes that came from one source.
    struct Share: Hashable {
        var source: String?
        var bytes: Int64
    }

    init(size: Int64) {
        self.size = size
    }

    /// The value of the field `Range` for the next request; `nil` for all of it.
    var range: String? { received > 0 ? "bytes=\(received)-" : nil }

    /// The time to wait before the next request.
    var pause: Duration { .milliseconds(tries == 0 ? 0 : min(2000, 100 << min(tries, 5))) }

    /// Takes the head of a response.
    mutating func receive(_ head: Head) -> Body {
        before = received
        skipping = 0
        switch head.status {
        case 200:
            if let length = head.length, length != size {
                return .fail(.wrongSize(expected: size, found: length, source: head.source))
            }
            skipping = received
        case 206:
            guard let range = head.range, range.first == received else { return .fail(.refused(status: 206)) }
            guard range.total == size else {
                return .fail(.wrongSize(expected: size, found: range.total, source: head.source))
            }
        case 401, 403: return .fail(.unauthorised)
        case 404: return .fail(.notFound(received: received, size: size))
        case 408, 429, 500...599: return again("status \(head.status)") == .askAgain ? .askAgain : .fail(gaveUp)
        default: return .fail(.refused(status: head.status))
        }
        if shares.last?.source != head.source || shares.isEmpty { shares.append(Share(source: head.source, bytes: 0)) }
        return .take(skipping: skipping)
    }

    /// Takes bytes of the body, without the skipped ones; fails if there are too many.
    mutating func receive(_ count: Int64) -> Failure? {
        guard count <= size - received else {
            return .tooLong(source: shares.last?.source)
        }
        received += count
        if let last = shares.indices.last { shares[last].bytes += count }
        return nil
    }

    /// Takes the end of a response, or its failure.
    ///
    /// - Parameter reason: why it was truncated; `nil` if it looks complete.
    mutating func end(_ reason: String?) -> Next {
        if received == size { return .done }
        return again(reason ?? "the response was truncated")
    }

    private var gaveUp: Failure { .givenUp(tries: tries, reason: reason) }
    private var reason = ""

    private mutating func again(_ reason: String) -> Next {
        self.reason = reason
        if received > before {
            tries = 0
            resumptions += 1
        } else {
            tries += 1
        }
        before = received
        return tries < Self.maximumTries ? .askAgain : .fail(gaveUp)
    }
}
