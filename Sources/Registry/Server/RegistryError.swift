import NIOCore

/// Why a registry could not be started.
public enum RegistryError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The address is taken.
    case addressInUse(String)
    /// The host has no such address.
    case addressNotAvailable(String)
    /// The port may be used by privileged processes only.
    case notPermitted(String)
    /// Anything else that the operating system or the name service reported.
    case cannotListen(String, reason: String)
    /// The kernel does not let connections have this congestion control.
    case congestionControl(String, reason: String)
    /// The server was started before.
    case alreadyStarted

    /// The error in words, with what to do about it.
    public var description: String {
        switch self {
        case .addressInUse(let address):
            "cannot listen on \(address): the address is in use; stop whatever listens there or choose another one"
        case .addressNotAvailable(let address):
            "cannot listen on \(address): no interface of this host has the address; choose one that it has"
        case .notPermitted(let address):
            "cannot listen on \(address): permission denied; choose a port above 1023 or run with CAP_NET_BIND_SERVICE"
        case .cannotListen(let address, let reason): "cannot listen on \(address): \(reason)"
        case .congestionControl(let name, let reason): "cannot use the TCP congestion control '\(name)': \(reason)"
        case .alreadyStarted: "the registry was started before"
        }
    }
}
