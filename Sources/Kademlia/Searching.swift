internal import Logging
public import Multiformats
internal import Synchronization

extension KademliaNode {
    /// Finds providers of a key, this node excepted, and yields each once, as it is found.
    ///
    /// Those of the records held here come first, without any network. The network is asked unless these suffice: there
    /// are `limit` of them, or the network has at most K nodes, all of which hold all records. The stream ends when
    /// `limit` providers were found, when all peers that should know have answered, or when its consumer is cancelled,
    /// which stops the search.
    public func findProviders(_ key: Key, limit: Int) -> AsyncStream<PeerInfo> {
        let limit = min(limit, configuration.lookup.maximumProviders)
        // What is buffered is bounded by the number of providers.
        let (stream, continuation) = AsyncStream.makeStream(of: PeerInfo.self, bufferingPolicy: .unbounded)
        guard limit > 0 else {
            continuation.finish()
            return stream
        }
        let now = environment.now()
        let (known, isComplete) = state.withLock { state in
            let known = state.knownProviders(for: key, now: now)
            if known.isComplete || known.providers.count >= limit { state.statistics.localAnswers += 1 }
            return known
        }
        for provider in known.prefix(limit) { continuation.yield(provider) }
        guard !isComplete, known.count < limit else {
            continuation.finish()
            return stream
        }
        let alreadyFound = Set(known.map(\.id))
        let task = searches.start { [self] in
            defer { continuation.finish() }
            // Only cancellation is thrown, and it ends the search.
            try? await searchLimiter.run {
                var remaining = limit - alreadyFound.count
                _ = await look(up: .providers(wanted: limit), key: key.bytes) { provider in
                    guard remaining > 0, !alreadyFound.contains(provider.id) else { return remaining > 0 }
                    remaining -= 1
                    continuation.yield(provider)
                    return remaining > 0
                }
            }
        }
        guard let task else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { _ in task.cancel() }
        return stream
    }

    private enum Event: Sendable {
        case reply(PeerInfo, Message)
        case failure(PeerInfo)
        case timer
    }

    /// Runs one lookup to its end, or until the task is cancelled.
    ///
    /// - Parameter found: is given each provider; the lookup ends when it returns false.
    /// - Returns: the lookup with its results.
    func look(
        up goal: Lookup.Goal,
        key: [UInt8],
        found: (PeerInfo) -> Bool = { _ in true }
    ) async -> Lookup {
        var lookup = state.withLock { state in
            state.statistics.lookups += 1
            return Lookup(
                goal,
                key: key,
                localPeer: localPeer,
                seeds: state.table.closest(state.replication, to: KeySpacePosition(hashing: key)),
                configuration: configuration.lookup,
                isUsable: \.isDialable
            )
        }
        let isForProviders = if case .providers = goal { true } else { false }
        let request = Message(kind: isForProviders ? .getProviders : .findNode, key: key)
        await withTaskGroup(of: Event.self) { group in
            var hasTimer = false
            defer { group.cancelAll() }
            while !Task.isCancelled {
                switch lookup.next(now: environment.now()) {
                case .finished: return
                case .ask(let peers):
                    for peer in peers {
                        group.addTask { await self.ask(peer, request) }
                    }
                    continue
                case .wait(let deadline):
                    if let deadline, !hasTimer {
                        hasTimer = true
                        let wait = deadline - environment.now()
                        group.addTask {
                            try? await self.environment.sleep(wait)
                            return .timer
                        }
                    }
                }
                guard let event = await group.next(), !Task.isCancelled else { return }
                switch event {
                case .timer: hasTimer = false
                case .failure(let peer):
                    lookup.failure(of: peer.id)
                    noteFailure(of: peer)
                case .reply(let peer, let message):
                    noteAnswer(of: peer)
                    let providers = lookup.reply(
                        from: peer.id,
                        closerPeers: message.closerPeers.map(\.info),
                        providers: message.providerPeers.map(\.info)
                    )
                    for provider in providers {
                        guard found(provider) else { return }
                    }
                }
            }
        }
        return lookup
    }

    private func ask(_ peer: PeerInfo, _ message: Message) async -> Event {
        // Addresses that the peer itself has proven go before those that others tell.
        let peer = state.withLock { $0.table.info(of: peer.id) } ?? peer
        do {
            return .reply(peer, try await request(message, to: peer))
        } catch {
            if !Task.isCancelled {
                logger.debug("a peer did not answer", metadata: ["peer": "\(peer.id)", "reason": "\(error)"])
            }
            return .failure(peer)
        }
    }

    /// One request and its answer, within the deadline.
    func request(_ message: Message, to peer: PeerInfo) async throws -> Message {
        do {
            let reply = try await environment.withDeadline(configuration.requestTimeout) { [transport] in
                try await transport.request(message, to: peer)
            }
            guard reply.kind == message.kind else {
                throw UnexpectedReply(expected: message.kind, actual: reply.kind)
            }
            state.withLock { $0.statistics.requests += 1 }
            return reply
        } catch {
            state.withLock { state in
                state.statistics.requests += 1
                // A request that was called off says nothing about the peer.
                if !Task.isCancelled { state.statistics.failedRequests += 1 }
            }
            throw error
        }
    }

    func noteAnswer(of peer: PeerInfo) {
        let now = environment.now()
        let meeting = state.withLock { $0.met(peer, now: now) }
        guard case .admitted = meeting else { return }
        logger.debug("added a peer to the routing table", metadata: ["peer": "\(peer.id)"])
        advertisingSignal.send()
        sendingSignal.send()
    }

    func noteFailure(of peer: PeerInfo) {
        let now = environment.now()
        state.withLock { $0.failed(peer, now: now) }
    }
}

/// A peer answered something else than what was asked.
struct UnexpectedReply: Error, CustomStringConvertible {
    let expected: Message.Kind
    let actual: Message.Kind

    var description: String { "expected an answer to \(expected), got one to \(actual)" }
}

extension Multiaddr {
    /// Whether the address is one of those this project dials: an IP address or a name, a TCP port, and no more.
    var isDialable: Bool {
        guard host != nil, let port = tcpPort, port != 0, withoutPeerID.components.count == 2 else { return false }
        return ipAddress.map { !$0.isUnspecified } ?? true
    }
}
