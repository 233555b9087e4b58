import OCI
import Time

/// The results of digest checks. A result holds for one state of a file.
struct CheckMemory {
    /// The minimum number of sound files to remember; the maximum is twice that. A forgotten file is checked again.
    static let soundLimit = 8192
    /// The maximum number of faulty files to remember. The oldest fault is dropped first.
    static let faultLimit = 1024

    private struct Sound {
        var stamp: ContentStamp
        var checked: MonotonicTime
    }

    // Two generations: when the younger is full it replaces the elder.
    private var younger: [Digest: Sound] = [:]
    private var elder: [Digest: Sound] = [:]
    private var faults: [Digest: ContentFault] = [:]
    private var faultOrder: [Digest] = []

    /// The number of files known to be sound.
    var soundCount: Int { younger.count + elder.count }
    /// The number of files known to be faulty.
    var faultCount: Int { faults.count }
    /// The digests of faulty files, the oldest fault first.
    var faultyDigests: [Digest] { faultOrder }

    /// Whether a check found this state of a file sound, at `earliest` or later.
    func isSound(_ digest: Digest, _ stamp: ContentStamp, since earliest: MonotonicTime? = nil) -> Bool {
        guard let known = younger[digest] ?? elder[digest], known.stamp == stamp else { return false }
        return earliest.map { known.checked >= $0 } ?? true
    }

    /// The recorded fault of a file, whatever its state now.
    func fault(_ digest: Digest) -> ContentFault? { faults[digest] }

    /// Records that a file is sound.
    mutating func noteSound(_ digest: Digest, _ stamp: ContentStamp, now: MonotonicTime) {
        forgetFault(digest)
        elder[digest] = nil
        if younger.count >= Self.soundLimit, younger[digest] == nil {
            elder = younger
            younger = [:]
        }
        younger[digest] = Sound(stamp: stamp, checked: now)
    }

    /// Records that a file is faulty.
    ///
    /// - Returns: whether the fault is new.
    mutating func noteFault(_ digest: Digest, _ fault: ContentFault) -> Bool {
        younger[digest] = nil
        elder[digest] = nil
        let isNew = faults[digest]?.stamp != fault.stamp
        if faults.updateValue(fault, forKey: digest) == nil {
            faultOrder.append(digest)
            if faultOrder.count > Self.faultLimit { faults[faultOrder.removeFirst()] = nil }
        }
        return isNew
    }

    /// Drops the fault of a file that was removed or changed.
    mutating func forgetFault(_ digest: Digest) {
        guard faults.removeValue(forKey: digest) != nil else { return }
        faultOrder.removeAll { $0 == digest }
    }
}
