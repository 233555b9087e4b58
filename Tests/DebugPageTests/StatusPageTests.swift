import DebugAPI
import TestSupport
import Testing

@testable import DebugPage

struct StatusPageTests {
    /// A text that must never become markup.
    private static let hostile = "\"><script>alert('1')</script><img src=x onerror=alert(1)>&amp;"

    @Test func noTextFromOutsideBecomesMarkup() {
        let status = NodeStatus.example(text: Self.hostile)
        let results: [SearchResult] = [
            .image(.example(text: Self.hostile)), .pull(.example(text: Self.hostile)), .failure(Self.hostile),
        ]
        for result in results {
            let page = StatusPage.document(status, reference: Self.hostile, result: result)
            #expect(page.contains("&lt;script&gt;alert(&#39;1&#39;)"))
            // The page's own script is the only one.
            #expect(page.split(separator: "<script").count == 2)
            #expect(!page.contains("<img") && !page.contains("<script>"))
        }
    }

    @Test func thePageStandsAlone() {
        let page = StatusPage.document(.example(), result: .image(.example()))
        for absent in ["http:", "https:", "style=", "onclick", "javascript:", "<style"] {
            #expect(!page.contains(absent))
        }
        #expect(page.hasPrefix("<!doctype html>\n<html lang=\"en\">"))
        #expect(page.contains("name=\"viewport\"") && page.contains("<label for=\"reference\">"))
        #expect(
            page.contains("Not ready") == false && page.contains("12D3KooWLqCqSoMcSxL1HUHLvQh1jkYxvV3WBNrrWJzXD1XzPsNG")
        )
        #expect(PageAsset.script.text.contains("EventSource") && PageAsset.style.text.contains("prefers-color-scheme"))
        #expect(PageAsset.icon.text.hasPrefix("<svg"))
        for asset in PageAsset.allCases { #expect(page.contains("\"\(asset.rawValue)\"")) }
        #expect(
            PageSecurity.fields.contains {
                $0.name == "Content-Security-Policy" && $0.value.contains("default-src 'self'")
            }
        )
    }

    @Test func aPageOfALargeClusterIsLight() {
        let page = StatusPage.document(.example(count: 500), result: .image(.example()))
        let all = page.utf8.count + PageAsset.allCases.reduce(0) { $0 + $1.text.utf8.count }
        #expect(all < 100_000, "\(all) bytes")
        #expect(page.contains("and 460 more"))
    }

    @Test func emptySectionsSaySo() {
        var status = NodeStatus.example(count: 0)
        status.node.isReady = false
        status.node.state = "reading the content store"
        status.history = NodeStatus.History()
        status.totals = NodeStatus.Totals()
        let page = StatusPage.document(status)
        for text in [
            "Not ready: reading the content store", "No transfer is in flight.", "This node holds no image.",
            "No peer is known.", "No failure since the start.", "unreachable for 5 s: refused",
        ] {
            #expect(page.contains(text), "\(text)")
        }
    }

    @Test func namesAreSafeInAQuery() {
        #expect(StatusPage.parameter("a.b/c:d@e f&é") == "a.b/c:d%40e%20f%26%C3%A9")
        #expect(StatusPage.host("/ip6/fd00::1/tcp/5001") == "fd00::1")
        #expect(StatusPage.host("x") == "x")
    }

    @Test func anUpdateHasOnlyTheSectionsThatChanged() {
        var updates = PageUpdates()
        var status = NodeStatus.example()
        let all = updates.changes(status)
        #expect(Set(all.keys) == ["badge", "node", "saved", "transfers", "peers", "images", "failures"])
        let none = updates.changes(status)
        #expect(none.isEmpty)
        status.transfers.list = []
        let one = updates.changes(status)
        #expect(Array(one.keys) == ["transfers"] && one["transfers"]?.contains("No transfer is in flight.") == true)
    }

    @Test func dataCannotEndItsEvent() {
        let event = ServerSentEvent(name: "page", data: "a\nevent: other\r\n\rb")
        #expect(event.text == "event: page\ndata: a\ndata: event: other\ndata: \ndata: b\n\n")
        #expect(ServerSentEvent(name: "x", data: "").text == "event: x\ndata: \n\n")
    }

    @Test func trafficFromUpstreamIsBesideThatFromPeers() {
        let status = NodeStatus.example()
        let page = StatusPage.document(status)
        #expect(page.contains("9.4 MB") && page.contains("2.1 MB"))
        #expect(page.contains("from upstream, after 1 request that no peer answered"))
        let chart = TransferChart(
            periods: status.history.minutes,
            length: 60,
            count: 60,
            end: Int(status.time),
            title: "The last hour",
            start: "1 h ago"
        ).html.text
        #expect(chart.contains("The last hour: 540 B from peers, 180 B from upstream"))
        #expect(chart.contains("peak 12 B in one minute"))
        // Of bytes and of requests.
        #expect(chart.split(separator: "bar-miss").count == 3 && chart.split(separator: "bar-hit").count == 3)
    }

    @Test func barsStayInTheChart() throws {
        var random = SeededGenerator()
        for _ in 0..<200 {
            let end = Int.random(in: 0...2_000_000_000, using: &random)
            let periods = (0..<20).map { _ in
                NodeStatus.Period(
                    time: end - Int.random(in: -1000...5000, using: &random),
                    hits: Int.random(in: 0...1000, using: &random),
                    misses: Int.random(in: 0...1000, using: &random),
                    receivedBytes: Int64.random(in: 0...(1 << 50), using: &random),
                    sourceBytes: Int64.random(in: 0...(1 << 50), using: &random),
                    sentBytes: 0
                )
            }
            let chart = TransferChart(periods: periods, length: 60, count: 60, end: end, title: "t", start: "s").html
                .text
            for shape in chart.split(separator: " d=\"M").dropFirst() {
                for bar in shape.prefix(while: { $0 != "\"" }).split(separator: "M") {
                    // X YhWIDTHvHEIGHTh-WIDTHz
                    let numbers = bar.split { " hvz".contains($0) }.map { Double($0) ?? .nan }
                    try #require(numbers.count == 5, "seed \(random.seed): \(bar)")
                    #expect(numbers[0] >= 0 && numbers[0] + numbers[2] <= 480, "seed \(random.seed): \(bar)")
                    #expect(
                        numbers[1] >= 0 && numbers[3] > 0 && numbers[2] == -numbers[4],
                        "seed \(random.seed): \(bar)"
                    )
                    #expect(numbers[1] + numbers[3] <= 58.1, "seed \(random.seed): \(bar)")
                }
            }
        }
    }

    @Test func thePartsOfAWaterfallFollowEachOther() {
        let markup = PullReport.example().html.text
        #expect(markup.contains("class=\"bar-lookup\" x=\"0.0%\" y=\"0\" height=\"100%\" width=\"1.0%\""))
        #expect(markup.contains("class=\"bar-wait\" x=\"1.0%\" y=\"0\" height=\"100%\" width=\"4.0%\""))
        #expect(markup.contains("class=\"bar-hit\" x=\"5.0%\" y=\"0\" height=\"100%\" width=\"95.0%\""))
        #expect(markup.contains("All digests match."))
        #expect(!PullReport.example(text: "no").html.text.contains("All digests match."))
    }
}
