/// Untrusted text, made safe for a terminal.
enum Plain {
    /// The text on one line, without characters that move a cursor.
    static func text(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.prefix(4096).map { scalar in
                    switch scalar.properties.generalCategory {
                    case .control, .format, .lineSeparator, .paragraphSeparator: "?"
                    default: scalar
                    }
                }
            )
        )
    }
}

/// Columns of text under headings, each as wide as its widest cell.
struct TextTable {
    let headings: [String]
    private(set) var rows: [[String]] = []

    init(_ headings: String...) {
        self.headings = headings
    }

    /// Adds a row with a cell for each heading.
    mutating func add(_ cells: String...) {
        rows.append(cells.map { $0.isEmpty ? "-" : Plain.text($0) })
    }

    /// The lines; none without rows.
    var lines: [String] {
        guard !rows.isEmpty else { return [] }
        let all = [headings] + rows
        let widths = headings.indices.map { column in
            all.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        return all.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                let isLast = column == row.count - 1
                line += isLast || column >= widths.count ? cell : cell.padded(widths[column] + 2)
            }
            return line
        }
    }
}
