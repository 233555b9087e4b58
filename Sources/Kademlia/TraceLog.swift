internal import Multiformats

/// A ``LookupTrace`` under construction.
struct TraceLog: Sendable {
    private(set) var trace = LookupTrace()
    private var places: [KademliaMachine.OperationID: Int] = [:]

    mutating func asked(_ id: KademliaMachine.OperationID, _ peer: PeerInfo, after time: Duration) {
        places[id] = trace.requests.count
        trace.requests.append(LookupTrace.Request(peer: peer, start: time, duration: nil, outcome: .unanswered))
    }

    mutating func answered(_ id: KademliaMachine.OperationID, closerPeers: Int, providers: Int, after time: Duration) {
        end(id, .answered(closerPeers: closerPeers, providers: providers), after: time)
    }

    mutating func failed(_ id: KademliaMachine.OperationID, after time: Duration) {
        end(id, .failed, after: time)
    }

    mutating func found(_ provider: PeerInfo) {
        trace.providers.append(provider)
    }

    private mutating func end(
        _ id: KademliaMachine.OperationID,
        _ outcome: LookupTrace.Request.Outcome,
        after time: Duration
    ) {
        guard let place = places.removeValue(forKey: id), trace.requests.indices.contains(place) else { return }
        trace.requests[place].outcome = outcome
        trace.requests[place].duration = time - trace.requests[place].start
    }
}
