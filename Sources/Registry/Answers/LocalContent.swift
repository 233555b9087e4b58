import ContentStore
import OCI

/// A file of this node's content that is open now.
struct FoundFile {
    var file: ContentFile
    var digest: Digest
    var mediaType: MediaType
}

/// Where the content of a request is on this node.
enum ContentPlace {
    /// In a file.
    case file(FoundFile)
    /// In the store as far as is known, but not within reach as a file.
    case unopened(Digest, MediaType?, size: Int64)
    /// Perhaps here: it cannot be told now, for this reason.
    case unavailable(String)
    /// Not here.
    case absent
}

/// What is done with content of this node, as far as the check of its digest goes.
enum ContentAdmission: Hashable, Sendable {
    /// The content is sent.
    case send
    /// It is sent and checked beside; its end waits for that.
    case sendWhileChecking
    /// It is checked first.
    case check
    /// It is not sent.
    case refuse
}

/// The content of this node as requests find it, and whether it may be sent.
final class LocalContent: Sendable {
    /// Files up to this size are checked on the event loop, which takes a fifth of a millisecond.
    private static let smallFile: Int64 = 256 << 10
    /// A file that another node doubts is checked again unless that was done within this time.
    private static let recheckAge = Duration.seconds(60)

    let index: ContentIndex
    private let store: any ContentStore
    private let checks: ContentChecks?
    /// Content up to this size is checked before it is sent.
    private let checkedSize: Int64
    private let telemetry: Telemetry

    init(store: any ContentStore, index: ContentIndex, checkedSize: Int64, telemetry: Telemetry) {
        self.store = store
        self.index = index
        self.checkedSize = checkedSize
        self.telemetry = telemetry
        checks = store.checks
    }

    // MARK: Where it is

    /// Finds content without asking another process. A manifest whose media type is not known is read.
    func find(_ request: ContentRequest) -> ContentPlace {
        let digest: Digest
        var mediaType: MediaType?
        switch request.content.target {
        case .digest(let asked): digest = asked
        case .tag:
            guard let target = index.resolve(tagName: request.key) else { return .absent }
            digest = target.digest
            mediaType = target.mediaType
        }
        let (entry, isShared) = index.find(digest)
        guard isShared else { return .absent }
        mediaType = entry?.mediaType ?? mediaType
        let file: ContentFile?
        do {
            file = try store.openFile(digest)
        } catch {
            telemetry.record(.openFailed(digest, error))
            return .unavailable("the content cannot be opened")
        }
        guard let file else {
            return entry.map { .unopened(digest, mediaType, size: $0.size) } ?? .absent
        }
        guard request.content.kind == .manifest else {
            return .file(FoundFile(file: file, digest: digest, mediaType: mediaType ?? .octetStream))
        }
        if let mediaType, mediaType.isServedAsManifest {
            return .file(FoundFile(file: file, digest: digest, mediaType: mediaType))
        }
        guard let bytes = try? file.readAll(limit: Manifest.maximumSize), let manifest = try? Manifest(json: bytes)
        else {
            return .absent
        }
        if let entry { index.insert(digest, size: entry.size, mediaType: manifest.mediaType) }
        return .file(FoundFile(file: file, digest: digest, mediaType: manifest.mediaType))
    }

    /// Opens content that is not within reach as a file, or gives `nil` when it is not held after all.
    ///
    /// - Returns: its reader and its media type.
    func open(
        _ digest: Digest,
        mediaType: MediaType?,
        kind: DistributionRequest.Kind
    ) async throws -> (reader: any ContentReader, mediaType: MediaType)? {
        guard let reader = try await store.openReader(digest) else {
            index.remove(digest)
            return nil
        }
        guard kind == .manifest else { return (reader, mediaType ?? .octetStream) }
        if let mediaType, mediaType.isServedAsManifest { return (reader, mediaType) }
        guard let bytes = try await store.readDocument(digest), let manifest = try? Manifest(json: bytes) else {
            return nil
        }
        index.insert(digest, size: reader.size, mediaType: manifest.mediaType)
        return (reader, manifest.mediaType)
    }

    // MARK: Whether it may be sent

    /// Decides whether a file is sent as it is.
    func admission(of file: ContentFile, _ digest: Digest, for request: ContentRequest) -> ContentAdmission {
        guard let checks else { return .send }
        switch checks.known(file, digest, maximumAge: request.wantsCheck ? Self.recheckAge : nil) {
        case .sound?: return .send
        case .faulty?: return .refuse
        case .undecided?, nil: break
        }
        if let expected = index.entry(digest)?.size, expected != file.size {
            // Cut short, most likely. Should the check find otherwise, what the index says is out of date.
            checks.check(file, digest, isUrgent: false) { [index] result in
                guard case .sound = result else { return }
                index.insert(digest, size: file.size, mediaType: nil)
            }
            return .refuse
        }
        if file.size <= Self.smallFile {
            return checks.checkNow(file, digest) == .sound ? .send : .refuse
        }
        if request.isHead { return .send }
        return request.wantsCheck || file.size <= checkedSize ? .check : .sendWhileChecking
    }

    /// Decides whether content that is not within reach as a file is sent as it is.
    func admission(
        of reader: any ContentReader,
        _ digest: Digest,
        for request: ContentRequest
    ) -> ContentAdmission {
        guard let checks, let stamp = reader.stamp else { return .send }
        switch checks.known(stamp, digest, maximumAge: request.wantsCheck ? Self.recheckAge : nil) {
        case .sound?: return .send
        case .faulty?: return .refuse
        case .undecided?, nil: break
        }
        if request.isHead, reader.size > Self.smallFile { return .send }
        let isCheckedBefore = reader.size <= max(Self.smallFile, checkedSize)
        return request.wantsCheck || isCheckedBefore ? .check : .sendWhileChecking
    }

    // MARK: Checks

    /// Whether a file is known to be what its digest says.
    func isKnownSound(_ file: ContentFile, _ digest: Digest) -> Bool {
        if case .sound? = checks?.known(file, digest) { true } else { false }
    }

    /// Whether content that is not within reach as a file is known to be what its digest says.
    func isKnownSound(_ reader: any ContentReader, _ digest: Digest) -> Bool {
        guard let stamp = reader.stamp, case .sound? = checks?.known(stamp, digest) else { return false }
        return true
    }

    /// Has a file checked. The result may come at once or on any thread.
    func check(
        _ file: ContentFile,
        _ digest: Digest,
        isUrgent: Bool,
        onResult: @escaping @Sendable (ContentChecks.Result) -> Void
    ) {
        guard let checks else { return onResult(.undecided) }
        checks.check(file, digest, isUrgent: isUrgent, onResult: onResult)
    }

    /// Has content checked that is not within reach as a file.
    func check(_ reader: any ContentReader, _ digest: Digest, isUrgent: Bool) -> PendingCheck {
        let check = PendingCheck()
        if let checks {
            checks.check(reader, digest, isUrgent: isUrgent) { check.finish($0) }
        } else {
            check.finish(.undecided)
        }
        return check
    }

    /// A file became shorter than the head of the answer said: logs that, and checks the file.
    func fileWasTruncated(_ found: FoundFile, key: String) {
        telemetry.record(.fileTruncated(key: key, path: found.file.path))
        guard let file = try? store.openFile(found.digest) else { return }
        check(file, found.digest, isUrgent: false) { _ in }
    }

    /// Notes what was found by reading content from its first byte to its last.
    ///
    /// - Parameter computed: the digest of all that was read.
    func note(_ reader: any ContentReader, _ digest: Digest, computed: Digest) -> ContentChecks.Result? {
        checks?.note(reader, digest, found: computed)
    }

    /// Notes that content could not be read to its end.
    func note(_ reader: any ContentReader, _ digest: Digest, failure: any Error) {
        checks?.note(reader, digest, failure: failure)
    }
}
