import Monitoring

/// The tables of metrics in docs/monitoring.md.
enum MetricsReference {
    private static let start = "<!-- Made from the program by `make docs`: do not edit. -->\n"
    private static let end = "<!-- End of what is made. -->\n"

    /// The tables, a section for each topic.
    static var text: String {
        SpegelMetrics.groups.map { group in
            "\n### \(group.title)\n\n| name | kind | labels | meaning |\n|---|---|---|---|\n"
                + group.families.map(row).joined()
        }.joined() + "\n"
    }

    /// A document with the tables between its two marks renewed; `nil` when it does not have these.
    static func renewed(_ document: String) -> String? {
        guard let start = document.firstRange(of: start), let end = document.firstRange(of: end),
            start.upperBound <= end.lowerBound
        else { return nil }
        return document[..<start.upperBound] + text + document[end.lowerBound...]
    }

    private static func row(_ family: MetricFamily) -> String {
        let labels = family.labels.map { label in
            guard let values = label.values else { return "`\(label.name)`" }
            return "`\(label.name)`: " + values.map { "`\($0)`" }.joined(separator: ", ")
        }.joined(separator: "; ")
        let meaning = family.help.replacing("|", with: "\\|").replacing("*", with: "\\*")
        return "| `\(family.name)` | \(family.kind.name) | \(labels) | \(meaning) |\n"
    }
}
