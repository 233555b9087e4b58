/// Decides how a piece of content is got from a registry whose answers may end early: what is asked for, from which
/// byte on, and when to give up. A value without I/O.
struct BlobDownload: Hashable {
    /// The head of an answer, as far as it counts here.
    struct Head: Hashable {
        var status: Int
        /// The length of the body.
        var length: Int64?
        /// The first byte of a part, and the size of the whole (`Content-Range`).
        var range: (first: Int64, total: Int64)? {
            get { first.flatMap { first in total.map { (first, $0) } } }
            set { (first, total) = (newValue?.first, newValue?.total) }
        }
        private var first: Int64?
        private var total: Int64?
        /// Who the bytes come from: another node, or `nil` for the node that was asked.
        var source: String?

        init(status: Int, length: Int64? = nil, range: (first: Int64, total: Int64)? = nil, source: String? = nil) {
            self.status = status
            self.length = length
            self.source = source
            self.range = range
        }
    }

    /// What to do with the body of an answer.
    enum Body: Hashable {
        /// Take it, but leave out this many bytes at its beginning.
        case take(skipping: Int64)
        /// It is of no use; ask again.
        case askAgain
        /// Give up.
        case fail(Failure)
    }

    /// What to do after an answer has ended.
    enum Next: Hashable {
        case done
        case askAgain
        case fail(Failure)
    }

    /// Why the content cannot be had.
    enum Failure: Error, Hashable, CustomStringConvertible {
        /// Nobody is known to have it; so many of its bytes had come before.
        case notFound(received: Int64, size: Int64)
        /// The registry wants a user name and a password, or does not take the ones it got.
        case unauthorised
        /// It answers with something else than content.
        case refused(status: Int)
        /// What is offered has another size.
        case wrongSize(expected: Int64, found: Int64, source: String?)
        /// More bytes came than belong to it.
        case tooLong(source: String?)
        /// Nothing came in several tries; the last reason.
        case givenUp(tries: Int, reason: String)

        var description: String {
            switch self {
            case .notFound(0, _): "no node of the cluster is known to have it"
            case .notFound(let received, let size):
                "no node of the cluster is known to have the rest: \(received) of \(size) bytes had come"
            case .unauthorised:
                "the registry wants a user name and a password, or others than it got: name their folder with "
                    + "--basic-auth-dir"
            case .refused(let status): "the registry answered with status \(status)"
            case .wrongSize(let expected, let found, let source):
                "\(source ?? "the node") offers \(found) bytes, expected \(expected)"
            case .tooLong(let source): "\(source ?? "the node") sent more bytes than belong to it"
            case .givenUp(let tries, let reason): "nothing came in \(tries) tries; the last one: \(reason)"
            }
        }
    }

    /// How many answers in a row may bring nothing.
    static let maximumTries = 5

    /// The size of the content.
    let size: Int64
    /// How many bytes have come.
    private(set) var received: Int64 = 0
    /// How often an answer ended early and was gone on with.
    private(set) var resumptions = 0
    /// How many bytes came from whom, in order; `nil` is the node that was asked.
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

    /// How long to wait before the next request.
    var pause: Duration { .milliseconds(tries == 0 ? 0 : min(2000, 100 << min(tries, 5))) }

    /// Takes the head of an answer.
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

    /// Takes bytes of the body, those that are skipped left out; says whether that many may come.
    mutating func receive(_ count: Int64) -> Failure? {
        guard count <= size - received else {
            return .tooLong(source: shares.last?.source)
        }
        received += count
        if let last = shares.indices.last { shares[last].bytes += count }
        return nil
    }

    /// The answer has ended, or could not be had.
    ///
    /// - Parameter reason: why it ended early; `nil` when it looks complete.
    mutating func end(_ reason: String?) -> Next {
        if received == size { return .done }
        return again(reason ?? "the answer was too short")
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
