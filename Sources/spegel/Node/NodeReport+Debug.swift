import ContentStore
import Kademlia
import Kubernetes
import LibP2P
import Monitoring
import Multiformats
import OCI
import Registry
import Routing

/// The pages below `/debug/`, in JSON. They tell what only an admin should know, so they can be turned off.
extension NodeReport {
    /// The longest key that is looked for, in bytes.
    private static let maximumKeyLength = 1024
    /// How long a lookup may take.
    private static let lookupTimeout = Duration.seconds(5)

    var debugRoutes: [String: MonitoringServer.Handler] {
        [
            "/debug/state": { _ in .json(state) },
            "/debug/peers": { _ in .json(peers) },
            "/debug/content": { request in await withKey(request) { .json(content($0)) } },
            "/debug/resolve": { request in await withKey(request) { .json(await resolve($0)) } },
        ]
    }

    private func withKey(
        _ request: MonitoringRequest,
        _ body: (String) async -> MonitoringResponse
    ) async -> MonitoringResponse {
        guard let key = request.parameters["key"], !key.isEmpty, key.utf8.count <= Self.maximumKeyLength else {
            let text = "the parameter key is a digest (sha256:…) or a full tag name (docker.io/library/alpine:3)"
            return .error(text, status: 400)
        }
        return await body(key)
    }

    private var state: JSON {
        let held = index.counts
        let counts = router.counts
        let statistics = router.statistics
        let snapshot = registry.metrics
        let stalls = liveness.stalls
        let tracked = tracker.snapshot
        return .object([
            ("version", .string(Version.text)),
            ("peer", .string("\(peerID)")),
            ("addresses", .array(host.listenAddresses.map { .string("\($0)") })),
            ("uptimeSeconds", .integer(Int((ContinuousClock.now - started).components.seconds))),
            ("ready", readiness().json),
            ("stalls", .array(stalls.map { .string("\($0)") })),
            (
                "store",
                .object([
                    ("name", .string(storeName)), ("state", .string(tracked.store.text)),
                    ("outages", .integer(tracked.outages)), ("contents", .integer(held.contents)),
                    ("tags", .integer(held.tags)), ("advertisedKeys", .integer(tracked.keys)),
                    ("withheldContents", .integer(tracked.withheldContents)),
                    ("imagesWithoutLayers", .integer(tracked.imagesWithoutLayers)),
                ])
            ),
            (
                "router",
                .object([
                    ("state", router.readiness.json), ("connectedPeers", .integer(host.connectedPeers.count)),
                    ("routingTablePeers", .integer(counts.peers)), ("providerRecords", .integer(counts.records)),
                    ("requests", .integer(statistics.requests)),
                    ("failedRequests", .integer(statistics.failedRequests)),
                    ("handledMessages", .integer(statistics.handledMessages)),
                ])
            ),
            ("election", elector.map { election($0.status) } ?? .null),
            (
                "registry",
                .object([
                    ("connections", .integer(snapshot.openConnections)),
                    ("peerConnections", .integer(snapshot.peerConnections)),
                    ("requestsInFlight", .integer(snapshot.requestsInFlight)),
                    ("mirrorsInFlight", .integer(snapshot.mirrorsInFlight)),
                    ("localBytes", .integer(snapshot.localBytes)), ("relayedBytes", .integer(snapshot.relayedBytes)),
                    ("failedAttempts", .integer(snapshot.failedAttempts)),
                ])
            ),
        ])
    }

    private func election(_ status: LeaderElector.Status) -> JSON {
        .object([
            ("leads", .bool(status.isLeader)), ("holder", .optional(status.holder)),
            ("transitions", .integer(status.transitions)), ("error", .optional(status.error)),
        ])
    }

    /// Who is connected, and who is in the routing table.
    private var peers: JSON {
        let table = Dictionary(router.peers.map { ($0.id, $0) }) { first, _ in first }
        let connected = Dictionary(host.connectedPeers.map { ("\($0)", $0) }) { first, _ in first }
        return .array(
            Set(table.keys).union(connected.keys).sorted().map { peer in
                let known = table[peer]
                let identity = connected[peer].flatMap { host.identifyInfo(of: $0) }
                let connections = connected[peer].map { host.connections(with: $0) } ?? []
                let addresses = known?.addresses ?? (identity?.listenAddresses ?? []).map { "\($0)" }
                return .object([
                    ("peer", .string(peer)),
                    ("agent", .optional(identity?.agentVersion)),
                    ("connected", .bool(connected[peer] != nil)),
                    ("connections", .array(connections.map(\.json))),
                    ("inRoutingTable", .bool(known != nil)),
                    ("bucket", known.map { .integer($0.bucket) } ?? .null),
                    ("idleMilliseconds", known.map { .number($0.idle.milliseconds) } ?? .null),
                    ("addresses", .array(addresses.map { .string($0) })),
                ])
            }
        )
    }

    /// What this node itself holds under a key.
    private func content(_ key: String) -> JSON {
        let target = index.resolve(tagName: key)
        let digest = target?.digest ?? (try? Digest(key))
        let entry = digest.flatMap { index.entry($0) }
        return .object([
            ("key", .string(key)),
            ("held", .bool(entry != nil)),
            ("advertised", .bool(tracker.advertisedKeys.contains(key))),
            ("digest", .optional(digest?.text)),
            ("size", entry.map { .integer(Int($0.size)) } ?? .null),
            ("mediaType", .optional(entry?.mediaType?.text ?? target?.mediaType.text)),
        ])
    }

    /// Looks for a key in the DHT, and tells who was asked, who has it, and how long each answer took.
    private func resolve(_ key: String) async -> JSON {
        let summary = await withTaskGroup(of: SearchSummary?.self) { group in
            group.addTask { await router.trace(key: key) }
            group.addTask {
                try? await Task.sleep(for: Self.lookupTimeout)
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
        guard let summary else {
            return .object([("key", .string(key)), ("error", .string("the lookup has not ended in time"))])
        }
        return .object([
            ("key", .string(key)),
            ("outcome", .string("\(summary.outcome)")),
            ("milliseconds", .number(summary.duration.milliseconds)),
            ("hops", .integer(summary.hops)),
            ("providers", .array((summary.trace?.providers ?? []).map(\.json))),
            ("requests", .array((summary.trace?.requests ?? []).map(\.json))),
        ])
    }
}

extension TrackerSnapshot.Store {
    fileprivate var text: String {
        switch self {
        case .starting: "not read yet"
        case .followed: "followed"
        case .away(let reason, let since):
            "away for \((ContinuousClock.now - since).components.seconds) s: \(reason)"
        }
    }
}

extension Readiness {
    fileprivate var json: JSON {
        switch self {
        case .ready(let text): .object([("ready", .bool(true)), ("state", .string(text))])
        case .notReady(let text): .object([("ready", .bool(false)), ("state", .string(text))])
        }
    }
}

extension ConnectionInfo {
    fileprivate var json: JSON {
        .object([
            ("address", .string("\(remoteAddress)")), ("inbound", .bool(isInbound)), ("security", .string(security)),
            ("muxer", .string(muxer)), ("ageSeconds", .integer(Int(age.components.seconds))),
        ])
    }
}

extension PeerInfo {
    fileprivate var json: JSON {
        .object([("peer", .string("\(id)")), ("addresses", .array(addresses.map { .string("\($0)") }))])
    }
}

extension LookupTrace.Request {
    fileprivate var json: JSON {
        var members: [(String, JSON)] = [
            ("peer", .string("\(peer.id)")),
            ("addresses", .array(peer.addresses.map { .string("\($0)") })),
            ("startMilliseconds", .number(start.milliseconds)),
            ("milliseconds", duration.map { .number($0.milliseconds) } ?? .null),
        ]
        switch outcome {
        case .answered(let closerPeers, let providers):
            members += [
                ("outcome", .string("answered")), ("closerPeers", .integer(closerPeers)),
                ("providers", .integer(providers)),
            ]
        case .failed: members.append(("outcome", .string("failed")))
        case .unanswered: members.append(("outcome", .string("unanswered")))
        }
        return .object(members)
    }
}

extension Duration {
    fileprivate var milliseconds: Double {
        Double(components.seconds) * 1000 + Double(components.attoseconds / 1_000_000_000_000) / 1000
    }
}
