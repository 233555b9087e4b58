import DebugAPI

/// A bar chart of the traffic from peers and from upstream over time. All text is outside the drawing, so that it keeps its
/// size on a narrow screen.
struct TransferChart {
    let periods: [NodeStatus.Period]
    /// The length of a period in seconds.
    let length: Int
    /// The number of periods in the chart.
    let count: Int
    /// The moment at the right end, in seconds since 1970.
    let end: Int
    let title: String
    /// The label of the left end.
    let start: String

    private static let width = 480
    private static let height = 56

    /// The periods by their position from the left.
    private var placed: [(place: Int, period: NodeStatus.Period)] {
        let last = end - end % length
        return periods.compactMap { period in
            let place = count - 1 - (last - period.time) / length
            return (0..<count).contains(place) && period.time <= last ? (place, period) : nil
        }
    }

    var html: HTML {
        let placed = placed
        let bytes = placed.reduce(0) { $0 + $1.period.receivedBytes }
        let sourceBytes = placed.reduce(0) { $0 + $1.period.sourceBytes }
        let hits = placed.reduce(0) { $0 + $1.period.hits }
        let misses = placed.reduce(0) { $0 + $1.period.misses }
        let mostBytes = placed.map { $0.period.receivedBytes + $0.period.sourceBytes }.max() ?? 0
        let mostRequests = placed.map { $0.period.hits + $0.period.misses }.max() ?? 0
        return HTML("figure", ["class": "chart"]) {
            HTML("figcaption") {
                HTML("h3") { title }
                HTML("p", ["class": "note"]) {
                    HTML("span", ["class": "whole"]) { Words.bytes(bytes) }
                    " and \(Words.count(hits, "request", "requests")) from peers, "
                    HTML("span", ["class": "whole"]) { Words.bytes(sourceBytes) }
                    " and \(Words.count(misses, "request", "requests")) left to upstream"
                }
            }
            row("Bytes", mostBytes == 0 ? "none" : "peak \(Words.bytes(mostBytes)) in \(span)")
            drawing(
                "\(title): \(Words.bytes(bytes)) from peers, \(Words.bytes(sourceBytes)) from upstream",
                bars("bar-hit", placed.map { ($0.place, $0.period.receivedBytes, 0) }, of: mostBytes)
                    + bars(
                        "bar-miss",
                        placed.map { ($0.place, $0.period.sourceBytes, $0.period.receivedBytes) },
                        of: mostBytes
                    )
            )
            row("Requests", mostRequests == 0 ? "none" : "peak \(Words.count(mostRequests)) in \(span)")
            drawing(
                "\(title): \(Words.count(hits)) requests from peers, \(Words.count(misses)) left to upstream",
                bars("bar-hit", placed.map { ($0.place, Int64($0.period.hits), 0) }, of: Int64(mostRequests))
                    + bars(
                        "bar-miss",
                        placed.map { ($0.place, Int64($0.period.misses), Int64($0.period.hits)) },
                        of: Int64(mostRequests)
                    )
            )
            HTML("div", ["class": "axis"]) {
                HTML("span") { start }
                HTML("span") { "now" }
            }
            HTML("p", ["class": "legend"]) {
                HTML("span", ["class": "key key-hit"]) { "from peers" }
                HTML("span", ["class": "key key-miss"]) { "from upstream" }
            }
        }
    }

    private var span: String { length == 60 ? "one minute" : "\(length / 60) minutes" }

    private func row(_ name: String, _ most: String) -> HTML {
        HTML("div", ["class": "axis"]) {
            HTML("span") { name }
            HTML("span") { most }
        }
    }

    private func drawing(_ label: String, _ bars: HTML) -> HTML {
        HTML(
            "svg",
            [
                "class": "bars", "viewBox": "0 0 \(Self.width) \(Self.height)", "preserveAspectRatio": "none",
                "role": "img", "aria-label": label,
            ]
        ) { bars }
    }

    /// Bars of one colour as one shape. A bar has a position, a value and the height at which it begins.
    private func bars(_ name: String, _ bars: [(place: Int, value: Int64, base: Int64)], of most: Int64) -> HTML {
        let width = Double(Self.width) / Double(count)
        let scale = Double(Self.height) / Double(max(1, most))
        var shape = ""
        for bar in bars where bar.value > 0 {
            // The smallest value is still visible.
            let height = max(2, Double(bar.value) * scale)
            let top = max(0, Double(Self.height) - Double(bar.base) * scale - height)
            let (left, across) = (Self.number(Double(bar.place) * width + width * 0.1), Self.number(width * 0.8))
            shape += "M\(left) \(Self.number(top))h\(across)v\(Self.number(height))h-\(across)z"
        }
        return shape.isEmpty ? HTML() : HTML("path", ["class": name, "d": shape])
    }

    /// To a tenth.
    private static func number(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e6 else { return "0" }
        let tenths = Int((value * 10).rounded())
        return tenths % 10 == 0 ? String(tenths / 10) : "\(tenths / 10).\(tenths % 10)"
    }
}
