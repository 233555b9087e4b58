extension ImageReport {
    var html: HTML {
        HTML("h3") { name }
            + HTML("p", ["class": "summary"]) { summary }
            + (error.map { text in HTML("p", ["class": "alert", "role": "alert"]) { text } } ?? HTML())
            + (contents.isEmpty
                ? HTML()
                : Table(
                    columns: ["Content", "Size", "Held by", "Lookup"],
                    caption: "Who holds \(name)",
                    rows: contents.map(row)
                ).html)
            + trace
    }

    private var summary: String {
        let held = contents.filter { $0.isHeldHere || !$0.lookup.holders.isEmpty }.count
        let nodes = Set(contents.flatMap { $0.lookup.holders.map(\.peerID) }).count
        let what = contents.count == 1 ? "It is" : "\(held) of \(contents.count) pieces of content are"
        let here = contents.filter(\.isHeldHere).count
        let holders = Words.count(nodes, "other node", "other nodes")
        guard held > 0 else {
            return "Nobody holds it: containerd would go to the source. Looked for \(Words.time(duration))."
        }
        let who = nodes == 0 ? "this node alone" : holders + (here > 0 ? " and this one" : "")
        return "\(what) held in the cluster, by \(who). Looked for \(Words.time(duration))."
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
                + HTML("div", ["class": "note"]) { content.lookup.words(isHeldHere: content.isHeldHere) },
        ]
    }

    private func holders(_ content: Content) -> HTML {
        let holders = content.lookup.holders
        guard content.isHeldHere || !holders.isEmpty else {
            return HTML("span", ["class": "chip bad"]) { "nobody" }
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

    /// Who was asked, where the records held here were not enough.
    private var trace: HTML {
        let traced = contents.filter { !$0.lookup.requests.isEmpty }
        guard !traced.isEmpty else {
            return contents.isEmpty
                ? HTML()
                : HTML("p", ["class": "note"]) {
                    "No other node had to be asked: all records of a small cluster are held here."
                }
        }
        return HTML("details") {
            HTML("summary") { "Who was asked" }
            traced.prefix(32).map { content in
                HTML("h4") { "\(content.kind.rawValue) \(Words.key(content.key))" }
                    + Table(
                        columns: ["Node", "After", "Took", "Answer"],
                        caption: "Requests for \(Words.key(content.key))",
                        rows: content.lookup.requests.map { request in
                            [
                                StatusPage.code(
                                    request.addresses.first.map(StatusPage.host) ?? Words.peer(request.peerID),
                                    whole: request.peerID
                                ),
                                HTML(text: Words.time(request.start)),
                                HTML(text: request.duration.map(Words.time) ?? "–"),
                                HTML(text: request.outcome.words),
                            ]
                        }
                    ).html
            }
        }
    }
}

extension ImageReport.Lookup {
    /// How it ended, in words.
    func words(isHeldHere: Bool) -> String {
        if holders.isEmpty, isHeldHere, ["missed", "rememberedMiss"].contains(outcome) { return "no other node" }
        return switch outcome {
        case "local": "records held here"
        case "found": "found in \(Words.count(hops, "hop", "hops"))"
        case "missed": holders.isEmpty ? "nobody asked knows" : "asked in \(Words.count(hops, "hop", "hops"))"
        case "rememberedMiss": "nobody, a moment ago"
        case "turnedAway": "too many lookups"
        case "timedOut": "not in time"
        default: outcome
        }
    }
}

extension ImageReport.Request.Outcome {
    fileprivate var words: String {
        switch self {
        case .answered(let closer, let providers):
            "\(Words.count(providers, "holder", "holders")), \(Words.count(closer, "closer node", "closer nodes"))"
        case .failed: "failed"
        case .unanswered: "not needed any more"
        }
    }
}
