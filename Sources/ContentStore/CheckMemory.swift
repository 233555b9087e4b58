import OCI

/// What is known of files that were checked against their digests. What holds for a file holds for the state that it was
/// in; in another one it is unknown.
struct CheckMemory {
    /// How many sound files are remembered at least, once as many were checked; at most twice as many are. Whatever is
    /// forgotten is only checked once more.
    static let soundLimit = 8192
    /// How many faulty ones are remembered; the one that was found first gives way.
    static let faultLimit = 1024

    private struct Sound {
        var stamp: ContentStamp
        var checked: ContinuousClock.Instant
    }

    /// In two generations: when the younger is full it becomes the elder, and that one is forgotten.
    private var younger: [Digest: Sound] = [:]
    private var elder: [Digest: Sound] = [:]
    private var faults: [Digest: ContentFault] = [:]
    private var faultOrder: [Digest] = []

    /// How many files are known to be sound.
    var soundCount: Int { younger.count + elder.count }
    /// How many are known not to be.
    var faultCount: Int { faults.count }
    /// The content whose files are faulty.
    var faultyDigests: [Digest] { faultOrder }

    /// Whether a file in this state was found sound, at this time or later.
    func isSound(_ digest: Digest, _ stamp: ContentStamp, since earliest: ContinuousClock.Instant? = nil) -> Bool {
        guard let known = younger[digest] ?? elder[digest], known.stamp == stamp else { return false }
        return earliest.map { known.checked >= $0 } ?? true
    }

    /// What was found wrong with the file of some content, in whatever state it was.
    func fault(_ digest: Digest) -> ContentFault? { faults[digest] }

    /// A file was found sound.
    mutating func noteSound(_ digest: Digest, _ stamp: ContentStamp, now: ContinuousClock.Instant) {
        forgetFault(digest)
        elder[digest] = nil
        if younger.count >= Self.soundLimit, younger[digest] == nil {
            elder = younger
            younger = [:]
        }
        younger[digest] = Sound(stamp: stamp, checked: now)
    }

    /// A file was found faulty.
    ///
    /// - Returns: whether that is news.
    mutating func noteFault(_ digest: Digest, _ fault: ContentFault) -> Bool {
        younger[digest] = nil
        elder[digest] = nil
        let isNews = faults[digest]?.stamp != fault.stamp
        if faults.updateValue(fault, forKey: digest) == nil {
            faultOrder.append(digest)
            if faultOrder.count > Self.faultLimit { faults[faultOrder.removeFirst()] = nil }
        }
        return isNews
    }

    /// The file of some content is gone, or in another state.
    mutating func forgetFault(_ digest: Digest) {
        guard faults.removeValue(forKey: digest) != nil else { return }
        faultOrder.removeAll { $0 == digest }
    }
}
