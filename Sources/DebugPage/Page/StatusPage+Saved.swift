import DebugAPI

extension StatusPage {
    /// The traffic from peers, which upstream registries did not have to serve.
    static func saved(_ status: NodeStatus) -> HTML {
        let totals = status.totals
        let asked = totals.hits + totals.misses
        return HTML("ul", ["class": "tiles"]) {
            tile(Words.bytes(totals.receivedBytes), "from peers instead of upstream", isMain: true)
            tile(
                asked == 0 ? "–" : "\(Int((Double(totals.hits) * 100 / Double(asked)).rounded())) %",
                "of \(Words.count(asked, "mirrored request", "mirrored requests")) answered by peers"
            )
            tile(
                Words.bytes(totals.sourceBytes),
                "from upstream, after \(Words.count(totals.misses, "request", "requests")) that no peer answered"
            )
            tile(Words.bytes(totals.sentBytes), "sent to peers")
        }
            + HTML("div", ["class": "charts"]) {
                TransferChart(
                    periods: status.history.minutes,
                    length: 60,
                    count: 60,
                    end: Int(status.time),
                    title: "The last hour",
                    start: "1 h ago"
                ).html
                TransferChart(
                    periods: status.history.quarters,
                    length: 900,
                    count: 96,
                    end: Int(status.time),
                    title: "The last day",
                    start: "24 h ago"
                ).html
            }
    }

    private static func tile(_ value: String, _ name: String, isMain: Bool = false) -> HTML {
        HTML("li", ["class": isMain ? "tile main" : "tile"]) {
            HTML("strong") { value }
            HTML("span") { name }
        }
    }
}
