extension StatusPage {
    /// What came from other nodes and need not come from the source.
    static func saved(_ status: NodeStatus) -> HTML {
        let totals = status.totals
        let asked = totals.hits + totals.misses
        return HTML("ul", ["class": "tiles"]) {
            tile(Words.bytes(totals.receivedBytes), "from other nodes, not from the source", isMain: true)
            tile(
                asked == 0 ? "–" : "\(Int((Double(totals.hits) * 100 / Double(asked)).rounded())) %",
                "of \(Words.count(asked, "request", "requests")) that were not held here answered by other nodes"
            )
            tile(
                Words.bytes(totals.sourceBytes),
                "from the source, after \(Words.count(totals.misses, "request", "requests")) that no other node answered"
            )
            tile(Words.bytes(totals.sentBytes), "given to other nodes")
        }
            + HTML("div", ["class": "charts"]) {
                TransferChart(
                    periods: status.minutes,
                    length: 60,
                    count: 60,
                    end: Int(status.time),
                    title: "The last hour",
                    start: "1 h ago"
                ).html
                TransferChart(
                    periods: status.quarters,
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
