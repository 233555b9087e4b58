@testable import DebugPage

extension NodeStatus {
    /// A node with so many of everything, in which each text from outside is as given.
    static func example(count: Int = 2, text: String? = nil) -> NodeStatus {
        func name(_ usual: String) -> String { text ?? usual }
        var status = NodeStatus(
            time: 1_700_000_000.5,
            node: Node(
                peerID: name("12D3KooWLqCqSoMcSxL1HUHLvQh1jkYxvV3WBNrrWJzXD1XzPsNG"),
                version: "1.0.0",
                uptime: .seconds(4711),
                addresses: [name("/ip4/10.0.0.1/tcp/5001")],
                registry: ":5000",
                zone: text,
                isReady: true,
                state: name("2 peers"),
                stalls: [name("the state tracker")],
                leader: Leader(leads: false, holder: name("node-1"), transitions: 3, error: name("timeout"))
            ),
            store: Store(
                name: name("containerd"),
                state: .away(reason: name("refused"), since: .seconds(5)),
                outages: 1
            ),
            network: Network(
                connected: count,
                routingTable: count,
                providerRecords: 28,
                peers: (0..<count).map { index in
                    Peer(
                        peerID: name("12D3KooWLqCqSoMcSxL1HUHLvQh1jkYxvV3WBNrrWJzXD1XzP\(1000 + index)"),
                        zone: text,
                        agent: name("spegel-swift/1.0.0"),
                        isConnected: true,
                        isInRoutingTable: true,
                        roundTripTime: .microseconds(420),
                        addresses: [name("/ip4/10.0.0.2/tcp/5001")],
                        registries: [name("10.0.0.2:5000")]
                    )
                }
            )
        )
        let digest = "sha256:" + String(repeating: "ab", count: 32)
        status.images = (0..<count).map { index in
            Image(
                name: name("registry.example.com/some/team/service-\(index):v1.2.3"),
                digest: name(digest),
                mediaType: name("application/vnd.oci.image.index.v1+json"),
                isAdvertised: index % 2 == 0
            )
        }
        status.imageCount = count
        status.transfers = (0..<count).map { index in
            Transfer(
                id: "\(index)",
                kind: "blob",
                key: name(digest),
                registry: name("registry.example.com"),
                repository: name("some/team/service"),
                direction: index % 2 == 0 ? .received : .sent,
                source: name("10.0.0.2:5000"),
                client: name("10.0.0.1:40312"),
                bytes: 1 << 20,
                size: index % 3 == 2 ? nil : 8 << 20,
                duration: .milliseconds(12)
            )
        }
        status.transferCount = count
        status.totals.hits = 4
        status.totals.misses = 1
        status.totals.receivedBytes = 9_437_184
        status.totals.sourceBytes = 2_148_000
        status.minutes = (0..<60).map {
            Period(start: 1_699_999_980 - $0 * 60, hits: 4, misses: 1, receivedBytes: 9, sourceBytes: 3, sentBytes: 1)
        }
        status.quarters = (0..<96).map {
            Period(start: 1_699_999_200 - $0 * 900, hits: 4, misses: 1, receivedBytes: 9, sourceBytes: 3, sentBytes: 1)
        }
        status.failures = (0..<min(count, 50)).map { _ in
            Failure(
                time: 1_700_000_000,
                key: name(digest),
                registry: name("registry.example.com"),
                repository: name("some/team/service"),
                peerID: name("12D3KooWLqCqSoMcSxL1HUHLvQh1jkYxvV3WBNrrWJzXD1XzPsNG"),
                address: name("10.0.0.2:5000"),
                reason: name("connect_timeout"),
                text: name("the connection was not made in time")
            )
        }
        return status
    }
}

extension ImageReport {
    /// An image of which some is held somewhere, in which each text from outside is as given.
    static func example(text: String? = nil) -> ImageReport {
        func name(_ usual: String) -> String { text ?? usual }
        var report = ImageReport(reference: name("alpine"), name: name("docker.io/library/alpine:latest"))
        report.duration = .milliseconds(3)
        report.error = text
        for kind in [Kind.tag, .index, .manifest, .config, .layer, .content] {
            let outcome: Request.Outcome = kind == .tag ? .failed : .answered(closerPeers: 3, providers: 1)
            report.contents.append(
                Content(
                    kind: kind,
                    depth: 1,
                    key: name("sha256:" + String(repeating: "ab", count: 32)),
                    digest: nil,
                    mediaType: name("type"),
                    size: 5,
                    platform: name("linux/amd64"),
                    isHeldHere: kind == .config,
                    isAdvertised: false,
                    lookup: Lookup(
                        outcome: name("found"),
                        duration: .milliseconds(1),
                        hops: 2,
                        requests: [
                            Request(
                                peerID: name("12D3KooW"),
                                addresses: [name("/ip4/10.0.0.2/tcp/5001")],
                                start: .zero,
                                duration: kind == .layer ? nil : .milliseconds(1),
                                outcome: outcome
                            )
                        ],
                        holders: kind == .layer
                            ? [] : [Holder(peerID: name("12D3KooW"), zone: text, registries: [name("10.0.0.2:5000")])]
                    )
                )
            )
        }
        return report
    }
}

extension PullReport {
    /// A pull that has come to its end or not, in which each text from outside is as given.
    static func example(text: String? = nil) -> PullReport {
        func name(_ usual: String) -> String { text ?? usual }
        var report = PullReport(reference: name("alpine"), name: name("docker.io/library/alpine:latest"))
        report.duration = .milliseconds(100)
        report.error = text
        for index in 0..<3 {
            var step = Step(
                kind: .layer,
                key: name("sha256:" + String(repeating: "ab", count: 32)),
                size: 10,
                start: .zero
            )
            step.lookup = index == 1 ? nil : .milliseconds(1)
            step.firstByte = .milliseconds(5)
            step.end = .milliseconds(100)
            step.source = index == 1 ? "here" : name("10.0.0.2:5000")
            step.error = index == 2 ? text : nil
            step.bytes = 10
            step.status = 200
            report.steps.append(step)
        }
        return report
    }
}
