import Testing

@testable import Simulation

struct ReportTests {
    @Test func formatsDecimals() {
        #expect(decimal(0, 0) == "0")
        #expect(decimal(1.005, 1) == "1.0")
        #expect(decimal(0.05, 2) == "0.05")
        #expect(decimal(-0.05, 1) == "-0.1")
        #expect(decimal(-0.001, 1) == "0.0")
        #expect(decimal(1234.5678, 2) == "1234.57")
    }

    @Test func reportHasTextAndCSV() {
        var report = Report(name: "x", title: "X", columns: ["name", "n", "share, %"])
        report.rows = [
            [.text("a, \"b\""), .count(3), .share(0.5, decimals: 1)],
            [.text("c"), .number(nil, decimals: 1), .share(1, decimals: 1)],
        ]
        #expect(report.csv == "name,n,\"share, %\"\n\"a, \"\"b\"\"\",3,0.500\nc,,1.000\n")
        #expect(report.text == "name    n  share, %\na, \"b\"  3    50.0 %\nc       -   100.0 %\n")
        #expect(report.svg == nil)
    }

    @Test func axesHaveFewRoundNumbers() {
        let linear = PlotScale(.init("y"), values: [0, 137])
        #expect(linear.ticks.map(\.text) == ["0", "20", "40", "60", "80", "100", "120", "140"])
        #expect(linear.place(of: 70) == 0.5)
        let logarithmic = PlotScale(.init("x", .logarithmic), values: [10, 100, 10_000])
        #expect(logarithmic.ticks.map(\.text) == ["10", "100", "1000", "10k"])
        #expect(logarithmic.place(of: 100).rounded(toPlaces: 6) == (1.0 / 3).rounded(toPlaces: 6))
        #expect(logarithmic.place(of: 0) == 0)
        let names = PlotScale(.init("x", .categories(["a", "b"])), values: [])
        #expect(names.place(of: 0) == 0.25)
        #expect(PlotScale(.init("y", range: 0...100), values: [99.5]).ticks.last?.text == "100")
        #expect(PlotScale(.init("y"), values: []).ticks.count > 1)
    }

    @Test func figureHasSeriesAxesAndBothBackgrounds() {
        let plot = Plot(
            title: "A < B",
            x: .init("nodes", .logarithmic),
            y: .init("ms"),
            series: [.init("p50", [(10, 1), (100, 2)]), .init("p99", [(10, 3), (100, 4)])]
        )
        let svg = SVGFigure(plots: [plot, plot]).text
        #expect(svg.hasPrefix("<svg ") && svg.hasSuffix("</svg>\n"))
        #expect(svg.contains("prefers-color-scheme:dark"))
        #expect(svg.contains("A &lt; B") && svg.contains(">nodes</text>") && svg.contains(">ms</text>"))
        #expect(svg.components(of: "<polyline") == 4)
        #expect(svg.components(of: "<circle") == 8)
    }
}

extension Double {
    fileprivate func rounded(toPlaces places: Int) -> String { decimal(self, places) }
}

extension String {
    fileprivate func components(of part: String) -> Int { ranges(of: part).count }
}
