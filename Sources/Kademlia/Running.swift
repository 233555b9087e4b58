internal import Logging
internal import Multiformats
internal import Synchronization

extension KademliaNode {
    /// Does the periodic work and whatever ``provide(_:)`` and ``peerAppeared(_:)`` bring about, until cancelled. To be
    /// called once. When it ends, the searches under way end too, and later ones know local records alone.
    public func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.keepTime() }
            group.addTask { await self.admitPeers() }
            group.addTask { await self.advertiseKeys() }
            group.addTask { await self.sendRecords() }
            group.addTask { await self.refreshTable() }
        }
        searches.close()
    }

    /// Finds the node's neighbours through the peers that are known, and refreshes what is due of the table.
    ///
    /// ``run()`` does the same by itself when peers appear and when it is time.
    public func bootstrap() async {
        let now = environment.now()
        let isNeeded = state.withLock { state in
            state.wantsSelfLookup = true
            return state.takeSelfLookup(now: now)
        }
        if isNeeded { _ = await look(up: .closestPeers, key: localPeer.bytes) }
        await refreshDueBuckets()
    }

    // MARK: - Time

    private func keepTime() async {
        while !Task.isCancelled {
            do { try await environment.sleep(configuration.tick) } catch { return }
            let now = environment.now()
            let due = state.withLock { state in
                // Bounded, so that the lock is held briefly; what is left is expired anyway and comes next.
                state.store.expire(now: now, limit: 50_000)
                return (
                    admission: state.admissions.hasDue(now: now),
                    advertising: state.schedule.hasDue(now: now),
                    refresh: state.needsRefresh(now: now)
                )
            }
            if due.admission { admissionSignal.send() }
            if due.advertising { advertisingSignal.send() }
            if due.refresh { refreshSignal.send() }
        }
    }

    // MARK: - Peers

    private func admitPeers() async {
        await withDiscardingTaskGroup { group in
            for await _ in admissionSignal.wakeups {
                let now = environment.now()
                let peers = state.withLock {
                    $0.admissions.take(now: now, limit: configuration.maximumConcurrentAdmissions)
                }
                for peer in peers {
                    group.addTask { await self.admit(peer) }
                }
            }
        }
    }

    private func admit(_ peer: PeerInfo) async {
        do {
            // Whoever answers this serves the protocol (libp2p/specs, kad-dht, "Client and server mode").
            _ = try await request(Message(kind: .findNode, key: peer.id.bytes), to: peer)
        } catch {
            guard !Task.isCancelled else { return }
            logger.debug("a peer failed its check", metadata: ["peer": "\(peer.id)", "reason": "\(error)"])
            let now = environment.now()
            state.withLock { $0.admissions.checkFailed(peer.id, now: now) }
            admissionSignal.send()
            return
        }
        noteAnswer(of: peer)
        state.withLock { state in
            // The fewer are known, the more this one may know whom we do not.
            if state.table.count <= state.replication { state.wantsSelfLookup = true }
        }
        refreshSignal.send()
        admissionSignal.send()
    }

    private func refreshTable() async {
        for await _ in refreshSignal.wakeups {
            let now = environment.now()
            if state.withLock({ $0.takeSelfLookup(now: now) }) {
                _ = await look(up: .closestPeers, key: localPeer.bytes)
            }
            await refreshDueBuckets()
        }
    }

    private func refreshDueBuckets() async {
        let now = environment.now()
        var randomness = EnvironmentRandomness(random: environment.random)
        let keys = state.withLock { $0.takeRefreshTargets(now: now, using: &randomness) }
        for key in keys {
            guard !Task.isCancelled else { return }
            _ = await look(up: .closestPeers, key: key)
        }
    }

    // MARK: - Own keys

    private func advertiseKeys() async {
        for await _ in advertisingSignal.wakeups {
            while !Task.isCancelled {
                let now = environment.now()
                let isReachable = !localAddresses().isEmpty
                switch state.withLock({ $0.takeUpDueKeys(now: now, isReachable: isReachable) }) {
                case .nothing: break
                case .queued:
                    sendingSignal.send()
                    continue
                case .lookUp(let keys):
                    await findTargets(of: keys)
                    continue
                }
                break
            }
        }
    }

    /// Looks up who is to hold each key, several at a time, and queues the records.
    private func findTargets(of keys: [Key]) async {
        await withTaskGroup(of: Void.self) { group in
            var underWay = 0
            for key in keys {
                if underWay >= configuration.maximumConcurrentProvides { await group.next() } else { underWay += 1 }
                group.addTask {
                    let lookup = await self.look(up: .closestPeers, key: key.bytes)
                    let now = self.environment.now()
                    self.state.withLock { $0.found(lookup.closestAnswered, for: key, now: now) }
                    self.sendingSignal.send()
                }
            }
        }
    }

    private func sendRecords() async {
        await withDiscardingTaskGroup { group in
            for await _ in sendingSignal.wakeups {
                let peers = state.withLock { $0.outbox.start(limit: configuration.maximumConcurrentSends) }
                for peer in peers {
                    group.addTask { await self.sendRecords(to: peer) }
                }
            }
        }
    }

    /// Sends a peer all that waits for it, batch after batch.
    private func sendRecords(to id: PeerID) async {
        // Others may wait for their turn, and keys for room.
        defer {
            sendingSignal.send()
            advertisingSignal.send()
        }
        while !Task.isCancelled {
            let next = state.withLock { state -> (peer: PeerInfo, keys: [Key])? in
                guard let next = state.outbox.next(for: id, limit: configuration.sendBatchSize) else { return nil }
                // Keys that were dropped since they were queued are not sent.
                return (next.peer, next.keys.filter { state.schedule.contains($0) })
            }
            guard let next else { return }
            let provider = [Message.Peer(localInfo, connection: .connected)]
            let messages = next.keys.map { Message(kind: .addProvider, key: $0.bytes, providerPeers: provider) }
            guard !messages.isEmpty else { continue }
            do {
                try await environment.withDeadline(configuration.requestTimeout) { [transport] in
                    try await transport.send(messages, to: next.peer)
                }
                state.withLock { $0.statistics.recordsSent += messages.count }
            } catch {
                guard !Task.isCancelled else { return }
                logger.debug("could not send records", metadata: ["peer": "\(id)", "reason": "\(error)"])
                let now = environment.now()
                state.withLock { state in
                    state.statistics.recordsFailed += messages.count
                    state.outbox.drop(id)
                    state.failed(next.peer, now: now)
                }
                return
            }
        }
    }
}
