/// Bars of what came from other nodes and what could not, over time. All words stand beside the drawing, so that they
/// keep their size on a narrow screen.
struct TransferChart {
    let periods: [NodeStatus.Period]
    /// The length of a period in seconds.
    let length: Int
    /// How many periods are drawn.
    let count: Int
    /// The moment at the right end, in seconds since 1970.
    let end: Int
    let title: String
    /// What is said of the left end.
    let start: String

    private static let width = 480
    private static let height = 56

    /// The periods by their place from the left.
    private var placed: [(place: Int, period: NodeStatus.Period)] {
        let last = end - end % length
        return periods.compactMap { period in
            let place = count - 1 - (last - period.start) / length
            return (0..<count).contains(place) && period.start <= last ? (place, period) : nil
        }
    }

    var html: HTML {
        let placed = placed
        let bytes = placed.reduce(0) { $0 + $1.period.receivedBytes }
        let hits = placed.reduce(0) { $0 + $1.period.hits }
        let misses = placed.reduce(0) { $0 + $1.period.misses }
        let mostBytes = placed.map(\.period.receivedBytes).max() ?? 0
        let mostRequests = placed.map { $0.period.hits + $0.period.misses }.max() ?? 0
        return HTML("figure", ["class": "chart"]) {
            HTML("figcaption") {
                HTML("h3") { title }
                HTML("p", ["class": "note"]) {
                    "\(Words.bytes(bytes)) and \(Words.count(hits, "request", "requests")) from other nodes, "
                    "\(Words.count(misses, "request", "requests")) left to the source"
                }
            }
            row("Bytes", mostBytes == 0 ? "none" : "up to \(Words.bytes(mostBytes)) in \(span)")
            drawing(
                "\(title): \(Words.bytes(bytes)) from other nodes",
                placed.map { bar($0.place, $0.period.receivedBytes, of: mostBytes, from: 0, "bar-hit") }
            )
            row("Requests", mostRequests == 0 ? "none" : "up to \(Words.count(mostRequests)) in \(span)")
            drawing(
                "\(title): \(Words.count(hits)) requests from other nodes, \(Words.count(misses)) left to the source",
                placed.map { place, period in
                    let most = Int64(mostRequests)
                    return bar(place, Int64(period.hits), of: most, from: 0, "bar-hit")
                        + bar(place, Int64(period.misses), of: most, from: Int64(period.hits), "bar-miss")
                }
            )
            HTML("div", ["class": "axis"]) {
                HTML("span") { start }
                HTML("span") { "now" }
            }
            HTML("p", ["class": "legend"]) {
                HTML("span", ["class": "key key-hit"]) { "from other nodes" }
                HTML("span", ["class": "key key-miss"]) { "left to the source" }
            }
        }
    }

    private var span: String { length == 60 ? "a minute" : "\(length / 60) min" }

    private func row(_ name: String, _ most: String) -> HTML {
        HTML("div", ["class": "axis"]) {
            HTML("span") { name }
            HTML("span") { most }
        }
    }

    private func drawing(_ label: String, _ bars: [HTML]) -> HTML {
        HTML(
            "svg",
            [
                "class": "bars", "viewBox": "0 0 \(Self.width) \(Self.height)", "preserveAspectRatio": "none",
                "role": "img", "aria-label": label,
            ]
        ) { bars }
    }

    private func bar(_ place: Int, _ value: Int64, of most: Int64, from base: Int64, _ name: String) -> HTML {
        guard value > 0, most > 0 else { return HTML() }
        let width = Double(Self.width) / Double(count)
        let scale = Double(Self.height) / Double(most)
        // What is little is still seen.
        let height = max(2, Double(value) * scale)
        let top = max(0, Double(Self.height) - Double(base) * scale - height)
        return HTML(
            "rect",
            [
                "class": name, "x": Self.number(Double(place) * width + width * 0.1), "y": Self.number(top),
                "width": Self.number(width * 0.8), "height": Self.number(height),
            ]
        )
    }

    private static func number(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e6 else { return "0" }
        return String((value * 100).rounded() / 100)
    }
}
