import ContentStore
import Kademlia
import Kubernetes
import LibP2P
import Monitoring
import Multiformats
import NIOCore
import OCI
import Registry
import Routing
import Synchronization

/// The pages below `/debug/`, in JSON. They tell what only an admin should know, so they can be turned off.
extension NodeReport {
    /// The longest key that is looked for, in bytes.
    private static let maximumKeyLength = 1024
    /// How long a lookup may take, and how many providers it may find.
    private static let lookupTimeout = Duration.seconds(5)
    private static let lookupLimit = 20

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
            return .json(.object([("error", .string(text))]), status: 400)
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
        let table = Dictionary(router.routingTablePeers.map { ($0.id, $0.addresses) }) { first, _ in first }
        let connected = Set(host.connectedPeers)
        let all = connected.union(table.keys).sorted { "\($0)" < "\($1)" }
        return .array(
            all.map { peer in
                let identity = host.identifyInfo(of: peer)
                return .object([
                    ("peer", .string("\(peer)")),
                    ("agent", .optional(identity?.agentVersion)),
                    ("connected", .bool(connected.contains(peer))),
                    ("remoteAddresses", .array(host.remoteAddresses(of: peer).map { .string("\($0)") })),
                    ("inRoutingTable", .bool(table[peer] != nil)),
                    (
                        "addresses",
                        .array((table[peer] ?? identity?.listenAddresses ?? []).map { .string("\($0)") })
                    ),
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

    /// Looks for a key as a request would, and tells who has it and how long it took to find out.
    private func resolve(_ key: String) async -> JSON {
        let start = ContinuousClock.now
        let providers = FoundProviders()
        let isComplete = await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                for await provider in router.providers(of: key, limit: Self.lookupLimit) {
                    providers.add(provider.json(after: ContinuousClock.now - start))
                }
                return !Task.isCancelled
            }
            group.addTask {
                try? await Task.sleep(for: Self.lookupTimeout)
                return false
            }
            let first = await group.next() ?? false
            group.cancelAll()
            return first
        }
        return .object([
            ("key", .string(key)),
            ("complete", .bool(isComplete)),
            ("milliseconds", .number((ContinuousClock.now - start).milliseconds)),
            ("providers", .array(providers.all)),
        ])
    }
}

/// What a lookup has found so far.
private final class FoundProviders: Sendable {
    private let list = Mutex<[JSON]>([])

    var all: [JSON] { list.withLock { $0 } }

    func add(_ provider: JSON) { list.withLock { $0.append(provider) } }
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

extension Provider {
    fileprivate func json(after time: Duration) -> JSON {
        .object([
            ("peer", .string(peerID)),
            ("registry", .array(addresses.map { .string("\($0.ipAddress ?? ""):\($0.port ?? 0)") })),
            ("milliseconds", .number(time.milliseconds)),
        ])
    }
}

extension Duration {
    fileprivate var milliseconds: Double {
        Double(components.seconds) * 1000 + Double(components.attoseconds / 1_000_000_000_000) / 1000
    }
}
