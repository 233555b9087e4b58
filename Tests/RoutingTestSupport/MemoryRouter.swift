public import Routing
import Synchronization

/// A router with fixed providers.
public final class MemoryRouter: Router {
    private struct State {
        var providers: [String: [Provider]] = [:]
        var advertised: Set<String> = []
    }

    private let state = Mutex(State())

    /// Creates a router without providers.
    public init() {}

    /// Sets the providers of a key.
    public func setProviders(_ providers: [Provider], of key: String) {
        state.withLock { $0.providers[key] = providers }
    }

    /// The keys that this node advertises.
    public var advertised: Set<String> {
        state.withLock { $0.advertised }
    }

    /// Finds the configured providers at once.
    public func lookUp(
        _ key: String,
        limit: Int,
        onEvent: @escaping @Sendable (LookupEvent) -> Void
    ) -> @Sendable () -> Void {
        onEvent(.started)
        for provider in state.withLock({ $0.providers[key] ?? [] }).prefix(limit) { onEvent(.found(provider)) }
        onEvent(.ended)
        return {}
    }

    /// Adds the keys to ``advertised``.
    public func advertise(_ keys: [String]) async {
        state.withLock { $0.advertised.formUnion(keys) }
    }

    /// Removes the keys from ``advertised``.
    public func withdraw(_ keys: [String]) async {
        state.withLock { $0.advertised.subtract(keys) }
    }

    /// Removes the provider of the key.
    public func reportMissing(_ provider: Provider, of key: String) {
        state.withLock { $0.providers[key]?.removeAll { $0.peerID == provider.peerID } }
    }

    /// Removes the provider of the key.
    public func reportCorrupt(_ provider: Provider, of key: String) {
        reportMissing(provider, of: key)
    }

    /// Moves the provider to the end for each key.
    public func reportUnreachable(_ provider: Provider) {
        state.withLock { state in
            for (key, providers) in state.providers {
                let last = providers.filter { $0.peerID == provider.peerID }
                state.providers[key] = providers.filter { $0.peerID != provider.peerID } + last
            }
        }
    }

    /// Always ready.
    public var readiness: Readiness { .ready("in memory") }
}
