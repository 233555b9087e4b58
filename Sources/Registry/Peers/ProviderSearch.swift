import Mirroring
import NIOCore
import Routing

/// The lookup for the providers of one key, on behalf of one transfer and its event loop.
///
/// Providers that are found in the same turn of the event loop are handed over together, so that the best of them is asked
/// first.
final class ProviderSearch {
    /// What is found, in order: `started` once the lookup has its place, then providers, then `ended`.
    enum Event {
        case started
        case found([Peer], mayCut: Bool)
        case ended
    }

    private let router: any Router
    private let key: String
    private let eventLoop: any EventLoop
    /// Called on the event loop until ``stop()``.
    var onEvent: (Event) -> Void = { _ in }
    /// Cancels the lookup; `nil` when none is going on.
    private var cancel: (@Sendable () -> Void)?
    /// Tells this lookup from one that was cancelled before it.
    private var number = 0
    /// Those found in this turn of the event loop.
    private var batch: [Peer] = []

    init(_ key: String, router: any Router, eventLoop: any EventLoop) {
        self.key = key
        self.router = router
        self.eventLoop = eventLoop
    }

    /// Looks for up to `limit` providers; an earlier lookup is cancelled.
    func start(limit: Int) {
        stop()
        let number = number
        if let known = router.knownProviders(of: key, limit: limit) {
            onEvent(.started)
            batch = known.map(Peer.init)
            return end(number)
        }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        cancel = router.lookUp(key, limit: limit) { [eventLoop] event in
            // Queued also on this event loop: events come from several threads, and stay in order.
            eventLoop.execute { bound.value.happened(event, number) }
        }
    }

    /// Finds no more; what was found is still handed over, and then the end.
    func cut() {
        cancel?()
    }

    /// Ends the lookup without another event.
    func stop() {
        number += 1
        batch = []
        let cancel = cancel
        self.cancel = nil
        cancel?()
    }

    /// Hands over what was found in this turn before it ends.
    func handOver() {
        guard !batch.isEmpty else { return }
        let found = batch
        batch = []
        onEvent(.found(found, mayCut: cancel != nil))
    }

    private func happened(_ event: LookupEvent, _ number: Int) {
        guard number == self.number else { return }
        switch event {
        case .started: onEvent(.started)
        case .found(let provider): found(provider, number)
        case .ended: end(number)
        }
    }

    private func found(_ provider: Provider, _ number: Int) {
        batch.append(Peer(provider))
        guard batch.count == 1 else { return }
        eventLoop.assumeIsolated().execute { [weak self] in
            if number == self?.number { self?.handOver() }
        }
    }

    private func end(_ number: Int) {
        handOver()
        guard number == self.number else { return }
        cancel = nil
        onEvent(.ended)
    }
}
