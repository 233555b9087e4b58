import NIOCore
import Synchronization

/// A router that knows only what it was told: for tests, and for a node that works alone.
public final class MemoryRouter: Router {
    private struct State {
        var providers: [String: [Provider]] = [:]
        var advertised: Set<String> = []
    }

    private let state = Mutex(State())

    /// Makes a router that knows of nobody.
    public init() {}

    /// Sets who holds a key.
    public func setProviders(_ providers: [Provider], of key: String) {
        state.withLock { $0.providers[key] = providers }
    }

    /// The keys that this node advertises.
    public var advertised: Set<String> {
        state.withLock { $0.advertised }
    }

    /// The providers that were set.
    public func providers(of key: String, limit: Int) -> AsyncStream<Provider> {
        let found = state.withLock { $0.providers[key] ?? [] }
        return AsyncStream { continuation in
            for provider in found.prefix(limit) { continuation.yield(provider) }
            continuation.finish()
        }
    }

    /// Adds the keys to those that this node advertises.
    public func advertise(_ keys: [String]) async {
        state.withLock { $0.advertised.formUnion(keys) }
    }

    /// Takes the keys from those that this node advertises.
    public func withdraw(_ keys: [String]) async {
        state.withLock { $0.advertised.subtract(keys) }
    }

    /// Takes the provider of the key out.
    public func reportMissing(_ provider: Provider, of key: String) {
        state.withLock { $0.providers[key]?.removeAll { $0.peerID == provider.peerID } }
    }

    /// Takes the provider of the key out.
    public func reportCorrupt(_ provider: Provider, of key: String) {
        reportMissing(provider, of: key)
    }

    /// Puts the provider behind the others, for each key.
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
