import ContentStore
import NIOCore
import OCI

/// How a request for content of this node is answered, as far as the check of the content goes.
enum ContentAdmission: Hashable, Sendable {
    /// The content is sent.
    case send
    /// It is sent, and checked beside; its end waits for that.
    case sendWhileChecking
    /// It is checked first.
    case check
    /// It is not sent.
    case refuse
}

extension RegistryServices {
    /// Files up to so many bytes are checked on the event loop, which takes a fifth of a millisecond.
    private static let smallFile: Int64 = 256 << 10
    /// So long ago at most a file was checked of which another node doubts that it is right.
    private static let recheckAge = Duration.seconds(60)

    /// What is known of a file without a check.
    func known(_ file: ContentFile, _ digest: Digest) -> ContentChecks.Result? {
        store.checks?.known(file, digest)
    }

    /// Has a file checked. The result may come at once or on any thread.
    func check(
        _ file: ContentFile,
        _ digest: Digest,
        isUrgent: Bool,
        onResult: @escaping @Sendable (ContentChecks.Result) -> Void
    ) {
        guard let checks = store.checks else { return onResult(.undecided) }
        checks.check(file, digest, isUrgent: isUrgent, onResult: onResult)
    }

    /// Has the file of some content checked, which has changed while it was sent.
    func recheck(_ digest: Digest) {
        guard let file = try? store.openFile(digest) else { return }
        check(file, digest, isUrgent: false) { _ in }
    }

    /// Decides whether a file is sent as it is.
    func admission(of file: ContentFile, _ digest: Digest, for request: ContentRequest) -> ContentAdmission {
        guard let checks = store.checks else { return .send }
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
        return request.wantsCheck || file.size <= Int64(configuration.checkedSize) ? .check : .sendWhileChecking
    }

    /// Decides whether content that is not within reach as a file is sent as it is.
    func admission(
        of reader: any ContentReader,
        _ digest: Digest,
        for request: ContentRequest
    ) -> ContentAdmission {
        guard let checks = store.checks, let stamp = reader.stamp else { return .send }
        switch checks.known(stamp, digest, maximumAge: request.wantsCheck ? Self.recheckAge : nil) {
        case .sound?: return .send
        case .faulty?: return .refuse
        case .undecided?, nil: break
        }
        if request.isHead, reader.size > Self.smallFile { return .send }
        let isCheckedBefore = reader.size <= max(Self.smallFile, Int64(configuration.checkedSize))
        return request.wantsCheck || isCheckedBefore ? .check : .sendWhileChecking
    }

    /// Has content checked that is not within reach as a file.
    func check(_ reader: any ContentReader, _ digest: Digest, isUrgent: Bool) -> PendingCheck {
        let check = PendingCheck()
        if let checks = store.checks {
            checks.check(reader, digest, isUrgent: isUrgent) { check.finish($0) }
        } else {
            check.finish(.undecided)
        }
        return check
    }

    /// Whether content that is not within reach as a file is known to be what its digest says.
    func isKnownSound(_ reader: any ContentReader, _ digest: Digest) -> Bool {
        guard let stamp = reader.stamp, case .sound? = store.checks?.known(stamp, digest) else { return false }
        return true
    }
}
