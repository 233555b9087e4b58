/// A table of results with plots.
public struct Report: Sendable {
    /// A cell of the table.
    public enum Cell: Sendable {
        /// Text.
        case text(String)
        /// A whole number.
        case count(Int)
        /// A number with a number of decimals; `nil` for none.
        case number(Double?, decimals: Int)
        /// A share from 0 to 1, shown in per cent with a number of decimals.
        case share(Double, decimals: Int)
    }

    /// The name of its files without an extension.
    public var name: String
    /// The title.
    public var title: String
    /// The names of the columns, with units.
    public var columns: [String]
    /// The rows, each with a cell for each column.
    public var rows: [[Cell]] = []
    /// The plots, side by side.
    public var plots: [Plot] = []

    /// Creates an empty table.
    public init(name: String, title: String, columns: [String]) {
        self.name = name
        self.title = title
        self.columns = columns
    }

    /// The table as comma-separated values (RFC 4180) with a header.
    public var csv: String {
        ([columns] + rows.map { $0.map(\.value) })
            .map { $0.map(Self.quoted).joined(separator: ",") + "\n" }
            .joined()
    }

    /// The table as aligned text.
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
    /// The value for a CSV file: a share as a number from 0 to 1.
    var value: String {
        switch self {
        case .text(let text): text
        case .count(let count): String(count)
        case .number(let number, let decimals): number.map { decimal($0, decimals) } ?? ""
        case .share(let share, let decimals): decimal(share, decimals + 2)
        }
    }

    /// The value for people.
    var text: String {
        switch self {
        case .text(let text): text
        case .count(let count): String(count)
        case .number(let number, let decimals): number.map { decimal($0, decimals) } ?? "-"
        case .share(let share, let decimals): decimal(100 * share, decimals) + " %"
        }
    }
}

/// A number with a number of decimals, rounded half away from zero.
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
