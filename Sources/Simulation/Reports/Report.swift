/// A table of results, and plots of them.
public struct Report: Sendable {
    /// One place of the table.
    public enum Cell: Sendable {
        /// Words.
        case text(String)
        /// A whole number.
        case count(Int)
        /// A number, with so many decimals; nil where there is none.
        case number(Double?, decimals: Int)
        /// A share from 0 to 1, shown in percent with so many decimals.
        case share(Double, decimals: Int)
    }

    /// The name of its files, without an ending.
    public var name: String
    /// What it is about.
    public var title: String
    /// The names of the columns, with units.
    public var columns: [String]
    /// The rows, each with a cell for each column.
    public var rows: [[Cell]] = []
    /// What is drawn, side by side.
    public var plots: [Plot] = []

    /// An empty table.
    public init(name: String, title: String, columns: [String]) {
        self.name = name
        self.title = title
        self.columns = columns
    }

    /// The table as comma-separated values (RFC 4180), the names of the columns first.
    public var csv: String {
        ([columns] + rows.map { $0.map(\.value) })
            .map { $0.map(Self.quoted).joined(separator: ",") + "\n" }
            .joined()
    }

    /// The table for people, in columns.
    public var text: String {
        let lines = [columns] + rows.map { $0.map(\.text) }
        let widths = columns.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        return lines.map { line in
            line.enumerated().map { index, cell in
                let padding = String(repeating: " ", count: widths[index] - cell.count)
                return index == 0 ? cell + padding : padding + cell
            }
            .joined(separator: "  ") + "\n"
        }
        .joined()
    }

    private static func quoted(_ field: String) -> String {
        guard field.contains(where: { ",\"\n".contains($0) }) else { return field }
        return "\"" + field.replacing("\"", with: "\"\"") + "\""
    }
}

extension Report.Cell {
    /// As it stands in a CSV file: a share as a number from 0 to 1.
    var value: String {
        switch self {
        case .text(let text): text
        case .count(let count): String(count)
        case .number(let number, let decimals): number.map { decimal($0, decimals) } ?? ""
        case .share(let share, let decimals): decimal(share, decimals + 2)
        }
    }

    /// As people read it.
    var text: String {
        switch self {
        case .text(let text): text
        case .count(let count): String(count)
        case .number(let number, let decimals): number.map { decimal($0, decimals) } ?? "-"
        case .share(let share, let decimals): decimal(100 * share, decimals) + " %"
        }
    }
}

/// A number with so many decimals, rounded half away from zero.
func decimal(_ number: Double, _ decimals: Int) -> String {
    var scale = 1.0
    for _ in 0..<decimals { scale *= 10 }
    let scaled = (number.magnitude * scale).rounded()
    guard scaled < 9e15 else { return String(number) }
    let digits = String(Int(scaled))
    let padded = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
    let sign = number < 0 && scaled > 0 ? "-" : ""
    return sign + padded.dropLast(decimals) + (decimals > 0 ? "." + padded.suffix(decimals) : "")
}
