import DebugAPI

extension ImageReport {
    var html: HTML {
        HTML("h3") { name }
            + HTML("p", ["class": "summary"]) { summary }
            + (error.map { text in HTML("p", ["class": "alert", "role": "alert"]) { text } } ?? HTML())
            + (contents.isEmpty
                ? HTML()
                : Table(
                    columns: ["Content", "Size", "Held by", "Lookup"],
                    caption: "Nodes that hold \(name)",
                    rows: contents.map(row)
                ).html)
            + trace
    }

    private var summary: String {
        let held = contents.filter { $0.isHeldHere || !$0.holders.isEmpty }.count
        let time = "The lookup took \(Words.time(duration))."
        guard held > 0 else {
            return "No node holds it: containerd would pull it from the upstream registry. \(time)"
        }
        let peers = Set(contents.flatMap { $0.holders.map(\.peerID) }).count
        let isHere = contents.contains { $0.isHeldHere }
        let nodes = (isHere ? ["this node"] : []) + (peers > 0 ? [Words.count(peers, "peer", "peers")] : [])
        let what = contents.count == 1 ? "It is" : "\(held) of \(contents.count) pieces of content are"
        return "\(what) held in the cluster, by \(nodes.joined(separator: " and ")). \(time)"
    }

    private func row(_ content: Content) -> [HTML] {
        [
            HTML("div", ["class": "depth-\(min(content.depth, 3))"]) {
                HTML("span", ["class": "chip"]) { content.kind.rawValue }
                " "
                StatusPage.code(Words.key(content.key), whole: content.key)
                if let platform = content.platform { HTML("span", ["class": "note"]) { " \(platform)" } }
            },
            HTML("span", ["class": "number"]) { content.size.map { Words.bytes($0) } ?? "–" },
            holders(content),
            HTML("span", ["class": "number"]) { Words.time(content.lookup.duration) }
                + HTML("div", ["class": "note"]) { content.lookupWords },
        ]
    }

    private func holders(_ content: Content) -> HTML {
        let holders = content.holders
        guard content.isHeldHere || !holders.isEmpty else {
            return HTML("span", ["class": "chip bad"]) { "no node" }
        }
        let shown = holders.prefix(6)
        return HTML("ul", ["class": "chips"]) {
            if content.isHeldHere { HTML("li", ["class": "chip good"]) { "this node" } }
            shown.map { holder in
                HTML("li", ["class": "chip", "title": holder.peerID]) {
                    holder.registries.first ?? Words.peer(holder.peerID)
                    if let zone = holder.zone { " (\(zone))" }
                }
            }
            if holders.count > shown.count {
                HTML("li", ["class": "chip"]) { "\(Words.count(holders.count - shown.count)) more" }
            }
        }
    }

    /// The requests to peers, which a lookup sends if the provider records on this node are not enough.
    private var trace: HTML {
        let traced = contents.filter { !$0.lookup.requests.isEmpty }
        guard !traced.isEmpty else {
            return contents.isEmpty
                ? HTML()
                : HTML("p", ["class": "note"]) {
                    "The lookup sent no request: this node has the provider records of a small cluster."
                }
        }
        return HTML("details") {
            HTML("summary") { "Requests to peers" }
            traced.prefix(32).map { content in
                HTML("h4") { "\(content.kind.rawValue) \(Words.key(content.key))" }
                    + Table(
                        columns: ["Peer", "Start", "Duration", "Answer"],
                        caption: "Requests for \(Words.key(content.key))",
                        rows: content.lookup.requests.map { request in
                            [
                                StatusPage.code(
                                    request.addresses.first.map(StatusPage.host) ?? Words.peer(request.peerID),
                                    whole: request.peerID
                                ),
                                HTML(text: Words.time(request.start)),
                                HTML(text: request.duration.map(Words.time) ?? "–"),
                                HTML(text: request.words),
                            ]
                        }
                    ).html
            }
        }
    }
}

extension ImageReport.Content {
    /// The outcome of the lookup in words.
    var lookupWords: String {
        if holders.isEmpty, isHeldHere, ["missed", "rememberedMiss"].contains(lookup.outcome) { return "no peer" }
        let hops = Words.count(lookup.hops, "hop", "hops")
        return switch lookup.outcome {
        case "local": "from provider records on this node"
        case "found": "found in \(hops)"
        case "missed": holders.isEmpty ? "not found in \(hops)" : "searched in \(hops)"
        case "rememberedMiss": "not found a moment ago"
        case "turnedAway": "too many lookups"
        case "timedOut": "timed out"
        default: lookup.outcome
        }
    }
}

extension ImageReport.Request {
    /// The outcome in words.
    fileprivate var words: String {
        switch outcome {
        case .answered:
            Words.count(providers ?? 0, "provider", "providers") + ", "
                + Words.count(closerPeers ?? 0, "closer peer", "closer peers")
        case .unanswered: "no longer needed"
        default: outcome.rawValue
        }
    }
}
