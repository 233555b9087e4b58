import FoundationEssentials
import Glibc

/// The process's resident memory now and at its peak.
enum MemoryGauge {
    /// Resets the peak. Some systems do not allow this. The peak then never falls, which weakens the check.
    static func resetPeak() {
        // proc(5): 5 resets the peak resident set size.
        let descriptor = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        _ = write(descriptor, "5", 1)
        close(descriptor)
    }

    /// The resident memory in bytes.
    static var current: Int { field("VmRSS:") }

    /// The peak of the resident memory since ``resetPeak()`` in bytes.
    static var peak: Int { field("VmHWM:") }

    /// Limits the address space to `bytes`, so that a huge allocation fails even if it is never touched.
    static func limitAddressSpace(to bytes: UInt) {
        var limit = rlimit(rlim_cur: bytes, rlim_max: bytes)
        setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit)
    }

    private static func field(_ name: String) -> Int {
        guard let data = try? Data(contentsOf: URL(filePath: "/proc/self/status")) else { return 0 }
        for line in String(decoding: data, as: UTF8.self).split(separator: "\n") where line.hasPrefix(name) {
            let digits = line.dropFirst(name.count).filter(\.isNumber)
            return (Int(digits) ?? 0) * 1024
        }
        return 0
    }
}
