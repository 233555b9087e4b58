/// Plots side by side as one SVG image for light and dark backgrounds.
struct SVGFigure {
    /// The size of one plot, with its labels.
    private static let (width, height) = (440.0, 320.0)
    private static let (left, right, top, bottom) = (64.0, 18.0, 58.0, 54.0)

    let plots: [Plot]

    var text: String {
        let width = Self.width * Double(max(1, plots.count))
        var svg = """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(decimal(width, 0)) \(decimal(Self.height, 0))" \
            width="\(decimal(width, 0))" font-family="sans-serif" font-size="12">
            <style>
            .ground{fill:#ffffff}.ink{fill:#24292f}.faint{fill:#57606a}.grid{stroke:#d0d7de}.axis{stroke:#57606a}
            .line{fill:none;stroke-width:2}
            .s0{stroke:#0969da}.f0{fill:#0969da}.s1{stroke:#bc4c00}.f1{fill:#bc4c00}
            .s2{stroke:#1a7f37}.f2{fill:#1a7f37}.s3{stroke:#8250df}.f3{fill:#8250df}
            @media (prefers-color-scheme:dark){
            .ground{fill:#0d1117}.ink{fill:#e6edf3}.faint{fill:#9198a1}.grid{stroke:#30363d}.axis{stroke:#9198a1}
            .s0{stroke:#58a6ff}.f0{fill:#58a6ff}.s1{stroke:#f0883e}.f1{fill:#f0883e}
            .s2{stroke:#3fb950}.f2{fill:#3fb950}.s3{stroke:#bc8cff}.f3{fill:#bc8cff}}
            </style>
            <rect class="ground" width="100%" height="100%"/>

            """
        for (index, plot) in plots.enumerated() {
            svg += "<g transform=\"translate(\(decimal(Double(index) * Self.width, 0)),0)\">\n"
            svg += Self.draw(plot)
            svg += "</g>\n"
        }
        return svg + "</svg>\n"
    }

    private static func draw(_ plot: Plot) -> String {
        let x = PlotScale(plot.x, values: plot.series.flatMap { $0.points.map(\.x) })
        let y = PlotScale(plot.y, values: plot.series.flatMap { $0.points.map(\.y) })
        func across(_ value: Double) -> Double { left + x.place(of: value) * (width - left - right) }
        func down(_ value: Double) -> Double { height - bottom - y.place(of: value) * (height - top - bottom) }

        var svg = words(plot.title, at: left, 20, "ink", "start", "font-size=\"14\" font-weight=\"bold\"")
        for tick in y.ticks {
            let place = down(tick.value)
            svg += line((left, place), (width - right, place), "grid")
            svg += words(tick.text, at: left - 6, place + 4, "faint", "end")
        }
        for tick in x.ticks {
            let place = across(tick.value)
            svg += line((place, height - bottom), (place, height - bottom + 4), "axis")
            svg += words(tick.text, at: place, height - bottom + 17, "faint", "middle")
        }
        svg += line((left, height - bottom), (width - right, height - bottom), "axis")
        svg += words(plot.x.label, at: (left + width - right) / 2, height - 14, "ink", "middle")
        let middle = (top + height - bottom) / 2
        let turned = "transform=\"rotate(-90 14 \(decimal(middle, 1)))\""
        svg += words(plot.y.label, at: 14, middle, "ink", "middle", turned)

        var legend = left
        for (index, series) in plot.series.prefix(4).enumerated() {
            svg += "<rect class=\"f\(index)\" x=\"\(decimal(legend, 1))\" y=\"33\" width=\"10\" height=\"10\"/>\n"
            svg += words(series.name, at: legend + 14, 42, "ink", "start")
            legend += 30 + 6.4 * Double(series.name.count)
        }
        for (index, series) in plot.series.prefix(4).enumerated() {
            let places = series.points.map { (across($0.x), down($0.y)) }
            if case .categories = plot.x.scale {
                svg += bars(places, index, of: min(4, plot.series.count), across(1) - across(0))
            } else {
                let path = places.map { "\(decimal($0.0, 1)),\(decimal($0.1, 1))" }.joined(separator: " ")
                svg += "<polyline class=\"line s\(index)\" points=\"\(path)\"/>\n"
                for place in places where places.count <= 40 { svg += dot(place, index) }
            }
        }
        return svg
    }

    private static func bars(_ places: [(Double, Double)], _ index: Int, of count: Int, _ room: Double) -> String {
        let width = min(28, room * 0.7 / Double(count))
        let base = height - bottom
        return places.map { place in
            let x = place.0 - width * Double(count) / 2 + width * Double(index)
            let size = "width=\"\(decimal(width - 2, 1))\" height=\"\(decimal(max(base - place.1, 1), 1))\""
            return
                "<rect class=\"f\(index)\" x=\"\(decimal(x + 1, 1))\" y=\"\(decimal(min(place.1, base - 1), 1))\" \(size)/>\n"
        }
        .joined()
    }

    private static func dot(_ place: (Double, Double), _ index: Int) -> String {
        "<circle class=\"f\(index)\" cx=\"\(decimal(place.0, 1))\" cy=\"\(decimal(place.1, 1))\" r=\"3\"/>\n"
    }

    private static func line(_ from: (Double, Double), _ to: (Double, Double), _ style: String) -> String {
        "<line class=\"\(style)\" x1=\"\(decimal(from.0, 1))\" y1=\"\(decimal(from.1, 1))\" "
            + "x2=\"\(decimal(to.0, 1))\" y2=\"\(decimal(to.1, 1))\"/>\n"
    }

    private static func words(
        _ text: String,
        at x: Double,
        _ y: Double,
        _ style: String,
        _ anchor: String,
        _ more: String = ""
    ) -> String {
        let escaped = text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
        return
            "<text class=\"\(style)\" x=\"\(decimal(x, 1))\" y=\"\(decimal(y, 1))\" text-anchor=\"\(anchor)\" \(more)>"
            + "\(escaped)</text>\n"
    }
}

extension Report {
    /// The plots as an SVG image; `nil` without plots.
    public var svg: String? { plots.isEmpty ? nil : SVGFigure(plots: plots).text }
}
