import DebugAPI

extension NodeStatus {
    /// A node with a number of items in each list.
    ///
    /// - Parameter text: the value of every text from outside.
    static func example(count: Int = 2, text: String? = nil) -> NodeStatus {
        func name(_ usual: String) -> String { text ?? usual }
        var status = NodeStatus(
            time: 1_700_000_000.5,
            node: Node(
                peerID: name("12D3KooWLqCqSoMcSxL1HUHLvQh1jkYxvV3WBNrrWJzXD1XzPsNG"),
                version: "1.0.0",
                uptimeSeconds: 4711,
                addresses: [name("/ip4/10.0.0.1/tcp/5001")],
                registry: ":5000",
                zone: text,
                isReady: true,
                state: name("2 peers"),
                stalls: [name("the state tracker")],
                leader: Leader(leads: false, holder: name("node-1"), transitions: 3, error: name("timeout"))
            ),
            store: Store(name: name("containerd"), state: .away)
        )
        status.store.reason = name("refused")
        status.store.awaySeconds = 5
        status.store.outages = 1
        status.router.isReady = true
        status.router.state = name("2 peers")
        status.router.requests = 7
        status.peers.connected = count
        status.peers.routingTable = count
        status.peers.providerRecords = 28
        status.peers.list = (0..<count).map { index in
            var peer = Peer(
                peerID: name("12D3KooWLqCqSoMcSxL1HUHLvQh1jkYxvV3WBNrrWJzXD1XzP\(1000 + index)"),
                isConnected: true,
                isInRoutingTable: true,
                addresses: [name("/ip4/10.0.0.2/tcp/5001")],
                registries: [name("10.0.0.2:5000")]
            )
            peer.zone = text
            peer.agent = name("spegel-swift/1.0.0")
            peer.connections = [
                Connection(
                    address: name("/ip4/10.0.0.2/tcp/5001"),
                    isInbound: false,
                    security: name("/noise"),
                    muxer: name("/yamux/1.0.0"),
                    ageSeconds: 61
                )
            ]
            peer.bucket = 3
            peer.idle = .milliseconds(1500)
            peer.roundTripTime = .microseconds(420)
            return peer
        }
        let digest = "sha256:" + String(repeating: "ab", count: 32)
        status.images.list = (0..<count).map { index in
            Image(
                name: name("registry.example.com/some/team/service-\(index):v1.2.3"),
                digest: name(digest),
                mediaType: name("application/vnd.oci.image.index.v1+json"),
                isAdvertised: index % 2 == 0
            )
        }
        status.images.count = count
        status.transfers.list = (0..<count).map { index in
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
        status.transfers.count = count
        status.registry.connections = 3
        status.registry.requestsInFlight = count
        status.totals.hits = 4
        status.totals.misses = 1
        status.totals.receivedBytes = 9_437_184
        status.totals.sourceBytes = 2_148_000
        status.history.minutes = (0..<60).map {
            Period(time: 1_699_999_980 - $0 * 60, hits: 4, misses: 1, receivedBytes: 9, sourceBytes: 3, sentBytes: 1)
        }
        status.history.quarters = (0..<96).map {
            Period(time: 1_699_999_200 - $0 * 900, hits: 4, misses: 1, receivedBytes: 9, sourceBytes: 3, sentBytes: 1)
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
    /// An image of which nodes hold a part.
    ///
    /// - Parameter text: the value of every text from outside.
    static func example(text: String? = nil) -> ImageReport {
        func name(_ usual: String) -> String { text ?? usual }
        var report = ImageReport(reference: name("alpine"), name: name("docker.io/library/alpine:latest"))
        report.duration = .milliseconds(3)
        report.error = text
        for kind in [Kind.tag, .index, .manifest, .config, .layer, .content] {
            var request = Request(
                peerID: name("12D3KooW"),
                addresses: [name("/ip4/10.0.0.2/tcp/5001")],
                start: .zero,
                duration: kind == .layer ? nil : .milliseconds(1),
                outcome: kind == .tag ? .failed : .answered
            )
            if kind != .tag { (request.closerPeers, request.providers) = (3, 1) }
            let holder = Holder(
                peerID: name("12D3KooW"),
                zone: text,
                addresses: [name("/ip4/10.0.0.2/tcp/5001")],
                registries: [name("10.0.0.2:5000")]
            )
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
                        requests: [request]
                    ),
                    holders: kind == .layer ? [] : [holder]
                )
            )
        }
        return report
    }
}

extension PullReport {
    /// A pull that is complete without a text.
    ///
    /// - Parameter text: the value of every text from outside, the error included.
    static func example(text: String? = nil) -> PullReport {
        func name(_ usual: String) -> String { text ?? usual }
        let steps = (0..<3).map { index in
            var step = Step(
                kind: .layer,
                key: name("sha256:" + String(repeating: "ab", count: 32)),
                size: 10,
                start: .zero
            )
            step.lookup = index == 1 ? nil : .milliseconds(1)
            step.firstByte = .milliseconds(5)
            step.end = .milliseconds(100)
            step.source = index == 1 ? PullReport.here : name("10.0.0.2:5000")
            step.error = index == 2 ? text : nil
            step.bytes = 10
            step.status = 200
            return step
        }
        return PullReport(
            reference: name("alpine"),
            name: name("docker.io/library/alpine:latest"),
            duration: .milliseconds(100),
            error: text,
            steps: steps
        )
    }
}
