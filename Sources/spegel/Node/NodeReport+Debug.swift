import ContentStore
import HTTPServer
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

    var debugRoutes: [String: HTTPServer.Handler] {
        [
            "/debug/state": { _ in .json(state) },
            "/debug/peers": { _ in .json(peers) },
            "/debug/content": { request in await withKey(request) { .json(content($0)) } },
            "/debug/resolve": { request in await withKey(request) { .json(await resolve($0)) } },
        ]
    }

    private func withKey(
        _ request: ServerRequest,
        _ body: (String) async -> ServerResponse
    ) async -> ServerResponse {
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
        return .members([
            "version": Version.text, "peer": "\(peerID)",
            "addresses": host.listenAddresses.map { "\($0)" },
            "uptimeSeconds": (ContinuousClock.now - started).components.seconds, "ready": readiness(),
            "stalls": stalls.map { "\($0)" },
            "store": JSON.members([
                "name": storeName, "state": tracked.store.text, "outages": tracked.outages,
                "contents": held.contents, "tags": held.tags, "advertisedKeys": tracked.keys,
                "withheldContents": tracked.withheldContents,
                "imagesWithoutLayers": tracked.imagesWithoutLayers,
            ]),
            "router": JSON.members([
                "state": router.readiness, "connectedPeers": host.connectedPeers.count,
                "routingTablePeers": counts.peers, "providerRecords": counts.records,
                "requests": statistics.requests, "failedRequests": statistics.failedRequests,
                "handledMessages": statistics.handledMessages,
            ]),
            "election": elector.map { election($0.status) },
            "registry": JSON.members([
                "connections": snapshot.openConnections, "peerConnections": snapshot.peerConnections,
                "requestsInFlight": snapshot.requestsInFlight, "mirrorsInFlight": snapshot.mirrorsInFlight,
                "localBytes": snapshot.localBytes, "relayedBytes": snapshot.relayedBytes,
                "failedAttempts": snapshot.failedAttempts,
            ]),
        ])
    }

    private func election(_ status: LeaderElector.Status) -> JSON {
        .members([
            "leads": status.isLeader, "holder": status.holder, "transitions": status.transitions,
            "error": status.error,
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
                return .members([
                    "peer": peer, "agent": identity?.agentVersion, "connected": connected[peer] != nil,
                    "connections": connections, "inRoutingTable": known != nil, "bucket": known?.bucket,
                    "idleMilliseconds": known?.idle,
                    "addresses": addresses,
                ])
            }
        )
    }

    /// What this node itself holds under a key.
    private func content(_ key: String) -> JSON {
        let target = index.resolve(tagName: key)
        let digest = target?.digest ?? (try? Digest(key))
        let entry = digest.flatMap { index.entry($0) }
        return .members([
            "key": key, "held": entry != nil, "advertised": tracker.advertisedKeys.contains(key),
            "digest": digest?.text, "size": entry?.size,
            "mediaType": entry?.mediaType?.text ?? target?.mediaType.text,
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
            return .members(["key": key, "error": "the lookup has not ended in time"])
        }
        return .members([
            "key": key, "outcome": "\(summary.outcome)", "milliseconds": summary.duration,
            "hops": summary.hops, "providers": summary.trace?.providers ?? [],
            "requests": summary.trace?.requests ?? [],
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

extension Readiness: JSONRepresentable {
    package var json: JSON {
        switch self {
        case .ready(let text): .members(["ready": true, "state": text])
        case .notReady(let text): .members(["ready": false, "state": text])
        }
    }
}

extension ConnectionInfo: JSONRepresentable {
    package var json: JSON {
        .members([
            "address": "\(remoteAddress)", "inbound": isInbound, "security": security, "muxer": muxer,
            "ageSeconds": age.components.seconds,
        ])
    }
}

extension PeerInfo: JSONRepresentable {
    package var json: JSON {
        .members([
            "peer": "\(id)", "addresses": addresses.map { "\($0)" },
        ])
    }
}

extension LookupTrace.Request: JSONRepresentable {
    package var json: JSON {
        let request = JSON.members([
            "peer": "\(peer.id)", "addresses": peer.addresses.map { "\($0)" }, "startMilliseconds": start,
            "milliseconds": duration,
        ])
        return switch outcome {
        case .answered(let closerPeers, let providers):
            request.with(["outcome": "answered", "closerPeers": closerPeers, "providers": providers])
        case .failed: request.with(["outcome": "failed"])
        case .unanswered: request.with(["outcome": "unanswered"])
        }
    }
}
