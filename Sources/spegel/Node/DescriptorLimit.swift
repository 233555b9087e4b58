import Glibc

/// The number of file descriptors that the process may open.
enum DescriptorLimit {
    /// The minimum for a command: its event loops and a few files and connections.
    static let minimum = 64

    /// Too few file descriptors to start.
    struct TooLow: Error, Hashable, CustomStringConvertible {
        let found: UInt

        var description: String {
            "expected at least \(DescriptorLimit.minimum) file descriptors, found a limit of \(found): "
                + "raise it with 'ulimit -n 1024', or with LimitNOFILE in a systemd unit"
        }
    }

    /// Raises a limit that is too low as far as the system allows.
    ///
    /// - Throws: ``TooLow``, where the event loops would end the process without a word.
    static func check() throws(TooLow) {
        var limit = rlimit()
        let kind = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(kind, &limit) == 0, limit.rlim_cur < UInt(minimum) else { return }
        var raised = limit
        raised.rlim_cur = min(limit.rlim_max, 1024)
        if setrlimit(kind, &raised) == 0 { limit = raised }
        guard limit.rlim_cur >= UInt(minimum) else { throw TooLow(found: UInt(limit.rlim_cur)) }
    }
}
