/// The readers of a written `hosts.toml`. They differ in the names of hosts that they read and in what they take for a
/// list of hosts.
public enum HostsReader: Hashable, Sendable {
    /// Any containerd: a header for each host, and no brackets in it.
    case any
    /// containerd 1.6 and 1.7: no `]` in a header, so hosts with brackets are dotted keys.
    case version1
    /// containerd 2.0 and later: only headers count.
    case version2
}
