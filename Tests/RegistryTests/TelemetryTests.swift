import CoreMetrics
import Logging
import Mirroring
import Monitoring
import NIOCore
import OCI
import Synchronization
import Testing

@testable import Registry

/// What is logged, counted and remembered of an event, without a server.
struct TelemetryTests {
    private let registry = MetricRegistry(SpegelMetrics.families)
    private let lines = Lines()

    private func makeTelemetry(_ level: Logger.Level = .info) -> Telemetry {
        var logger = Logger(label: "test", factory: { [lines] _ in LineHandler(lines: lines) })
        logger.logLevel = level
        return Telemetry(factory: registry, labels: RegistryLabels(configured: nil), logger: logger)
    }

    private func value(_ series: String) -> Double? {
        registry.text.split(separator: "\n").first { $0.hasPrefix(series + " ") }
            .flatMap { $0.split(separator: " ").last }.flatMap { Double($0) }
    }

    private func makeRequest(isExternal: Bool = false) throws -> ContentRequest {
        let digest = digestOf([1])
        return ContentRequest(
            content: DistributionRequest(
                kind: .blob,
                repository: try #require(RepositoryName("library/test")),
                target: .digest(digest),
                registry: RegistryName("docker.io")
            ),
            key: digest.text,
            isHead: false,
            isFromPeer: false,
            isExternal: isExternal
        )
    }

    private func makeRecord(_ telemetry: Telemetry, _ ending: TransferEnding, isShared: Bool = false) throws
        -> MirrorRecord
    {
        let failure = MirrorRecord.Failure(
            peerID: "dead",
            address: "192.0.2.8:5000",
            reason: "connect_failed",
            text: "cannot connect"
        )
        return MirrorRecord(
            request: try makeRequest(),
            ending: ending,
            isHit: ending == .complete,
            sentBytes: 700,
            isShared: isShared,
            duration: 5_000_000,
            peer: MirrorRecord.Peer(peerID: "peer", address: PeerAddress(ip: "192.0.2.7", port: 5000)),
            failures: [failure],
            hedges: 2,
            series: telemetry.metrics.registry(label: "docker.io")
        )
    }

    /// What an admin greps for.
    @Test func eachEventHasItsLine() throws {
        let telemetry = makeTelemetry()
        let address = try SocketAddress(ipAddress: "192.0.2.1", port: 9)
        let digest = digestOf([1])
        let failure = RawClient.Failure(what: "it fails")
        let peer = PeerAddress(ip: "a", port: 1)
        let events: [(TelemetryEvent, String)] = [
            (
                .listening(address, congestionControl: "reno"),
                "info registry listening address=192.0.2.1:9 congestionControl=reno"
            ),
            (.graceEnded(connections: 3), "warning closing connections in use count=3"),
            (.clientRejected(.address, address), "warning client rejected: address not allowed address=192.0.2.1"),
            (
                .clientRejected(.credentials, nil),
                "warning client rejected: credentials missing or wrong address=unknown"
            ),
            (
                .clientRejected(.proof, address),
                "warning node rejected: no valid proof of the cluster key or password address=192.0.2.1"
            ),
            (
                .clientRejected(.expired, address),
                "warning node rejected: proof expired, check the clocks of both machines address=192.0.2.1"
            ),
            (
                .peerWantsPassword(nil),
                "warning peer wants the password in clear: passed over; nodes of Spegel in Go need "
                    + "--basic-auth-to-peers plain address=unknown"
            ),
            (
                .clientStalled(address, key: "k", bufferedBytes: 7),
                "info closing stalled connection bufferedBytes=7 client=192.0.2.1 key=k"
            ),
            (
                .clientStalled(nil, key: nil, bufferedBytes: 7),
                "info closing stalled connection bufferedBytes=7 client=unknown"
            ),
            (.openFailed(digest, failure), "warning content open failed digest=\(digest) error=\(failure)"),
            (.readFailed(key: "k", failure), "warning content read failed error=\(failure) key=k"),
            (.storeTimedOut(key: "k"), "warning content store timed out key=k"),
            (.fileTruncated(key: "k", path: "/p"), "error content file truncated while served key=k path=/p"),
            (
                .repeatedRequest(key: "k", peers: ["a at b:1", "c at unknown"]),
                #"info repeated request: verifying content from peers key=k peers=["a at b:1", "c at unknown"]"#
            ),
            (
                .digestMismatch(digest, key: "k", peerID: "p", address: peer, isCertain: true),
                "warning digest mismatch: peer banned for this content address=a:1 digest=\(digest) key=k peer=p"
            ),
            (
                .digestMismatch(digest, key: "k", peerID: "p", address: nil, isCertain: false),
                "warning digest mismatch suspected: peer must verify its copy address=unknown digest=\(digest) key=k peer=p"
            ),
        ]
        for (event, _) in events { telemetry.record(event) }
        #expect(lines.all == events.map(\.1))
        #expect(value(#"spegel_registry_refused_total{reason="address"}"#) == 1)
        #expect(value("spegel_verification_failures_total") == 2)
        #expect(telemetry.metrics.snapshot.corruptAnswers == 2)
        #expect(telemetry.metrics.snapshot.refusals == [.address: 1, .credentials: 1, .proof: 1, .expired: 1])
    }

    @Test func mirroredRequestIsLoggedCountedAndRemembered() throws {
        let telemetry = makeTelemetry()
        telemetry.record(.mirrorBegan)
        #expect(telemetry.metrics.snapshot.mirrorsInFlight == 1)
        let record = try makeRecord(telemetry, .complete)
        telemetry.record(.mirrorEnded(record))
        #expect(lines.all.isEmpty)
        telemetry.record(.mirrorReported(record))
        #expect(
            lines.all == [
                "info mirrored request address=192.0.2.7:5000 bytes=700 duration=5ms "
                    + "failures=[\"dead at 192.0.2.8:5000: cannot connect\"] key=\(record.request.key) method=GET "
                    + "outcome=complete peer=peer registry=docker.io repository=library/test"
            ]
        )
        let snapshot = telemetry.metrics.snapshot
        #expect(snapshot.mirrorsInFlight == 0 && snapshot.failedAttempts == 1 && snapshot.hedges == 2)
        #expect(value(#"spegel_mirror_requests_total{registry="docker.io",cache="hit",source="internal"}"#) == 1)
        #expect(value(#"spegel_mirror_failed_attempts_total{reason="connect_failed"}"#) == 1)
        #expect(value("spegel_mirror_hedged_attempts_total") == 2)
        #expect(telemetry.history.total.hits == 1 && telemetry.history.total.receivedBytes == 700)
        #expect(telemetry.failures.map(\.reason) == ["connect_failed"])
    }

    /// A line names what happened: heads are told from bodies, and misses from hits.
    @Test func linesTellHeadsAndMissesApart() throws {
        let telemetry = makeTelemetry()
        var record = try makeRecord(telemetry, .notFound)
        record.isHit = false
        record.request.isHead = true
        telemetry.record(.mirrorReported(record))
        #expect(lines.all.count == 1 && lines.all[0].hasPrefix("info request not mirrored "))
        #expect(lines.all[0].contains(" method=HEAD ") && lines.all[0].contains(" outcome=not found "))
    }

    @Test func sharedAnswerCountsAsOneRequest() throws {
        let telemetry = makeTelemetry()
        let record = try makeRecord(telemetry, .complete, isShared: true)
        telemetry.record(.mirrorEnded(record))
        telemetry.record(.mirrorReported(record))
        let snapshot = telemetry.metrics.snapshot
        #expect(snapshot.mirrorsInFlight == 0 && snapshot.failedAttempts == 0 && snapshot.hedges == 0)
        #expect(telemetry.history.total.hits == 1 && telemetry.history.total.receivedBytes == 0)
        #expect(telemetry.failures.isEmpty)
        #expect(lines.all.count == 1 && lines.all[0].contains("shared=true"))
    }

    @Test func cutShortAnswerCountsAsMissAndFailure() throws {
        let telemetry = makeTelemetry(.warning)
        let record = try makeRecord(telemetry, .cutShort)
        telemetry.record(.mirrorEnded(record))
        telemetry.record(.mirrorReported(record))
        #expect(telemetry.history.total.misses == 1 && telemetry.history.total.receivedBytes == 700)
        #expect(telemetry.failures.map(\.reason) == ["cut_short", "connect_failed"])
        #expect(lines.all.isEmpty && !telemetry.logsRequests)
    }

    @Test func countsAnswerFromStore() throws {
        let telemetry = makeTelemetry(.debug)
        let loop = LoopTelemetry(telemetry)
        telemetry.record(.requestBegan(.content))
        #expect(value(#"http_requests_inflight{handler="/v2/*"}"#) == 1)
        let request = try makeRequest()
        let key = ResponseSeries.Key(handler: .content, method: .get, status: 200)
        telemetry.record(
            .requestEnded(
                RequestRecord(
                    handler: .content,
                    responses: loop.responses(key),
                    status: 200,
                    duration: 1_000_000,
                    bytes: 90,
                    outcome: .local,
                    content: RequestRecord.Content(
                        key: request.key,
                        isFromPeer: true,
                        isLocal: true,
                        series: loop.registry(request.content.registry)
                    )
                )
            )
        )
        #expect(value(#"http_requests_inflight{handler="/v2/*"}"#) == 0)
        #expect(value(#"http_response_size_bytes_sum{handler="/v2/*",method="GET",code="200"}"#) == 90)
        #expect(value(#"spegel_registry_requests_total{outcome="local"}"#) == 1)
        #expect(value(#"spegel_peer_sent_bytes_total{registry="docker.io"}"#) == 90)
        #expect(telemetry.metrics.snapshot.localBytes == 90 && telemetry.history.total.sentBytes == 90)
        #expect(lines.all == ["debug served from content store bytes=90 key=\(request.key) outcome=local status=200"])
    }

    /// Of each metric with labels of few values a sample is there from the start, so that no rate begins with a jump.
    @Test func knownSeriesExistFromStart() {
        _ = makeTelemetry()
        for series in [
            #"spegel_registry_requests_total{outcome="cut_short"}"#,
            #"spegel_registry_refused_total{reason="address"}"#,
            "spegel_registry_accept_failures_total", "spegel_verification_failures_total",
            "spegel_mirror_hedged_attempts_total", "spegel_registry_connections", "spegel_registry_peer_connections",
        ] {
            #expect(value(series) == 0, "\(series)")
        }
    }

    /// A registry whose images come to be held has a label from then on, also on event loops that have counted it before.
    @Test func learntRegistryHasItsLabel() throws {
        let telemetry = makeTelemetry()
        let loop = LoopTelemetry(telemetry)
        let name = try #require(RegistryName("registry.example"))
        #expect(loop.registry(name).label == "other" && loop.registry(nil).label == "other")
        telemetry.metrics.labels.learn(["registry.example"])
        #expect(loop.registry(name).label == "registry.example")
        #expect(loop.registry(name) === telemetry.metrics.registry(label: "registry.example"))
    }
}

/// Log lines with their fields in the order of their names.
private final class Lines: Sendable {
    private let lines = Mutex<[String]>([])

    var all: [String] { lines.withLock { $0 } }

    func add(_ line: String) {
        lines.withLock { $0.append(line) }
    }
}

private struct LineHandler: LogHandler {
    let lines: Lines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let fields = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }
        lines.add("\(event.level) \(event.message)\(fields.joined())")
    }
}
