import Glibc

/// The number of file descriptors that the process may open.
enum DescriptorLimit {
    /// The minimum for a command: its event loops and a few files and connections.
    static let minimum = 64
    /// What a process raises its limit to, as far as the system allows.
    private static let target: UInt = 16384

    /// Too few file descriptors to start.
    struct TooLow: Error, Hashable, CustomStringConvertible {
        let found: UInt

        var description: String {
            "expected at least \(DescriptorLimit.minimum) file descriptors, found a limit of \(found): "
                + "raise it with 'ulimit -n 1024', or with LimitNOFILE in a systemd unit"
        }
    }

    /// Raises a low limit as far as the system allows.
    ///
    /// - Throws: ``TooLow``, where the event loops would end the process without a word.
    static func check() throws(TooLow) {
        var limit = rlimit()
        let kind = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(kind, &limit) == 0 else { return }
        var raised = limit
        raised.rlim_cur = min(limit.rlim_max, target)
        if raised.rlim_cur > limit.rlim_cur, setrlimit(kind, &raised) == 0 { limit = raised }
        guard limit.rlim_cur >= UInt(minimum) else { throw TooLow(found: UInt(limit.rlim_cur)) }
    }

    /// The most connections of clients, so that idle ones leave descriptors for health checks and for files.
    static func connections(atMost count: Int) -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return count }
        return max(1, min(count, Int(clamping: limit.rlim_cur / 2)))
    }
}
