import DebugAPI

extension PullReport {
    var html: HTML {
        HTML("h3") { "Test pull of \(name)" }
            + HTML("p", ["class": "summary"]) { summary }
            + (error.map { text in HTML("p", ["class": "alert", "role": "alert"]) { text } } ?? HTML())
            + (steps.isEmpty ? HTML() : waterfall)
    }

    private var summary: String {
        let rate = Words.rate(bytes, in: duration).map { ", \($0)" } ?? ""
        let sources = Set(steps.compactMap(\.source))
        let places = sources.sorted().map { $0 == Self.here ? "this node" : $0 }.joined(separator: ", ")
        let from = sources.isEmpty ? "" : " from \(places)"
        return "\(Words.bytes(bytes))\(from) in \(Words.time(duration))\(rate)."
            + (isComplete ? " All digests match." : "")
    }

    private var waterfall: HTML {
        HTML("p", ["class": "legend"]) {
            HTML("span", ["class": "key key-lookup"]) { "finding a provider" }
            HTML("span", ["class": "key key-wait"]) { "time to first byte" }
            HTML("span", ["class": "key key-hit"]) { "transfer" }
        }
            + Table(
                columns: ["Content", "Size", "From", "Waterfall of \(Words.time(duration))"],
                caption: "Test pull of \(name)",
                rows: steps.map(row)
            ).html
    }

    private func row(_ step: Step) -> [HTML] {
        [
            HTML("span", ["class": "chip"]) { step.kind.rawValue } + HTML(text: " ")
                + StatusPage.code(Words.key(step.key), whole: step.key),
            HTML("span", ["class": "number"]) { Words.bytes(step.bytes) },
            step.error.map { text in HTML("span", ["class": "bad-text"]) { text } }
                ?? HTML("span") { step.source == Self.here ? "this node" : step.source ?? "–" },
            bar(step),
        ]
    }

    private func bar(_ step: Step) -> HTML {
        let found = step.lookup ?? step.start
        let first = step.firstByte ?? step.end
        var words = "start at \(Words.time(step.start))"
        if let lookup = step.lookup { words += ", provider after \(Words.time(lookup - step.start))" }
        if let firstByte = step.firstByte { words += ", first byte after \(Words.time(firstByte - step.start))" }
        words += ", end after \(Words.time(step.end - step.start))"
        return HTML("svg", ["class": "waterfall", "role": "img", "aria-label": words]) {
            part("bar-lookup", step.start, found)
            part("bar-wait", found, first)
            part("bar-hit", first, step.end)
        }
            + HTML("div", ["class": "note"]) { words }
    }

    private func part(_ name: String, _ from: Duration, _ to: Duration) -> HTML {
        guard to > from, duration > .zero else { return HTML() }
        let start = percent(from)
        return HTML(
            "rect",
            [
                "class": name, "x": "\(start)%", "y": "0", "height": "100%",
                // The shortest part is still visible.
                "width": "\(max(0.4, percent(to) - start))%",
            ]
        )
    }

    private func percent(_ moment: Duration) -> Double {
        let share = moment.milliseconds / duration.milliseconds * 100
        return share.isFinite ? (min(100, max(0, share)) * 100).rounded() / 100 : 0
    }
}
