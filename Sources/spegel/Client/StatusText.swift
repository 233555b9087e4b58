import DebugAPI

/// The status of a node as text for a terminal.
struct StatusText {
    /// The most rows of a table. All rows are in the JSON.
    static let maximumRows = 20

    let lines: [String]

    init(_ status: NodeStatus) {
        let node = status.node
        var lines = [
            Self.line("node", "\(node.peerID), spegel \(node.version)"),
            Self.line("ready", (node.isReady ? "yes: " : "NO: ") + node.state),
            Self.line("up", Human.time(.seconds(min(max(node.uptimeSeconds, 0), 1 << 40)))),
            Self.line("router", node.addresses.joined(separator: " ")),
            Self.line("registry", node.registry),
        ]
        if let zone = node.zone { lines.append(Self.line("zone", zone)) }
        if let leader = node.leader {
            lines.append(Self.line("leader", leader.leads ? "this node" : leader.holder ?? "none"))
        }
        for stall in node.stalls { lines.append(Self.line("STALLED", stall)) }
        lines.append(Self.line("store", Self.store(status.store)))
        lines += Self.totals(status.totals)
        lines += Self.peers(status.peers) + Self.images(status.images) + Self.transfers(status.transfers)
        lines += Self.failures(status.failures)
        self.lines = lines
    }

    private static func line(_ name: String, _ text: String) -> String {
        name.padded(10) + Plain.text(text)
    }

    private static func store(_ store: NodeStatus.Store) -> String {
        var text = "\(store.name): \(store.state.rawValue)"
        if let reason = store.reason { text += " (\(reason))" }
        text += ", \(Human.count(store.contents, "piece of content", "pieces of content"))"
        text += ", \(Human.count(store.tags, "tag", "tags"))"
        text += ", \(Human.count(store.advertisedKeys, "key", "keys")) advertised"
        let bare = store.imagesWithoutLayers
        if bare > 0 { text += ", \(Human.count(bare, "IMAGE", "IMAGES")) WITHOUT LAYERS" }
        return text
    }

    private static func totals(_ totals: NodeStatus.Totals) -> [String] {
        let (asked, isOverflow) = totals.hits.addingReportingOverflow(totals.misses)
        var rate = ""
        if !isOverflow, asked > 0, (0...asked).contains(totals.hits) {
            rate = " (\(Int((Double(totals.hits) / Double(asked) * 100).rounded())) % of \(asked))"
        }
        let received = "\(Human.bytes(totals.receivedBytes)) from peers in"
        let source = "\(Human.bytes(totals.sourceBytes)) from upstream registries after"
        return [
            line("saved", "\(received) \(Human.count(totals.hits, "request", "requests"))\(rate)"),
            line("upstream", "\(source) \(Human.count(totals.misses, "request", "requests")) that no peer answered"),
            line(
                "sent",
                "\(Human.bytes(totals.sentBytes)) to peers; "
                    + "\(Human.count(totals.local, "request", "requests")) answered from this node's store"
            ),
            line(
                "errors",
                "\(Human.count(totals.failedAttempts, "failed attempt", "failed attempts")), "
                    + "\(Human.count(totals.corruptAnswers, "digest mismatch", "digest mismatches")), "
                    + "\(totals.cutShort) truncated"
            ),
        ]
    }

    private static func peers(_ peers: NodeStatus.Peers) -> [String] {
        var table = TextTable("PEER", "REGISTRY", "CONNECTED", "ROUND TRIP", "ZONE")
        for peer in peers.list.prefix(maximumRows) {
            table.add(
                peer.peerID,
                peer.registries.joined(separator: " "),
                peer.isConnected ? "yes" : "no",
                peer.roundTripTime.map(Human.time) ?? "",
                peer.zone ?? ""
            )
        }
        return section(table, of: peers.list.count, "no peers")
    }

    private static func images(_ images: NodeStatus.Listing<NodeStatus.Image>) -> [String] {
        var table = TextTable("IMAGE", "DIGEST", "ADVERTISED")
        for image in images.list.prefix(maximumRows) {
            table.add(image.name, String((image.digest ?? "").prefix(19)), image.isAdvertised ? "yes" : "no")
        }
        return section(table, of: max(images.list.count, images.count), "no images")
    }

    private static func transfers(_ transfers: NodeStatus.Listing<NodeStatus.Transfer>) -> [String] {
        var table = TextTable("TRANSFER", "CONTENT", "FROM", "TO", "DONE", "OF")
        for transfer in transfers.list.prefix(maximumRows) {
            table.add(
                transfer.direction.rawValue,
                "\(transfer.kind) \(transfer.key.prefix(19))",
                transfer.source ?? "",
                transfer.client ?? "",
                Human.bytes(transfer.bytes),
                transfer.size.map(Human.bytes) ?? ""
            )
        }
        return section(table, of: max(transfers.list.count, transfers.count), nil)
    }

    private static func failures(_ failures: [NodeStatus.Failure]) -> [String] {
        var table = TextTable("FAILURE", "CONTENT", "PEER")
        for failure in failures.prefix(5) {
            table.add(failure.text, String(failure.key.prefix(48)), failure.address ?? "")
        }
        return table.lines.isEmpty ? [] : [""] + table.lines
    }

    /// - Parameter none: the text in the place of an empty table.
    private static func section(_ table: TextTable, of count: Int, _ none: String?) -> [String] {
        guard !table.lines.isEmpty else { return none.map { ["", $0] } ?? [] }
        let more = count - table.rows.count
        return [""] + table.lines + (more > 0 ? ["and \(more) more; see --output json"] : [])
    }
}

extension Human {
    /// `1 peer`, `2 peers`
    static func count(_ number: Int, _ one: String, _ many: String) -> String {
        "\(number) \(number == 1 ? one : many)"
    }
}
