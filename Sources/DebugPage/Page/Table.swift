/// A table that becomes a list of cards on a narrow screen. The roles keep it a table for screen readers.
struct Table {
    let columns: [String]
    /// The title for screen readers.
    let caption: String
    let rows: [[HTML]]

    var html: HTML {
        HTML("table", ["role": "table"]) {
            HTML("caption", ["class": "unseen"]) { caption }
            HTML("thead", ["role": "rowgroup"]) {
                HTML("tr", ["role": "row"]) {
                    columns.map { column in HTML("th", ["role": "columnheader", "scope": "col"]) { column } }
                }
            }
            HTML("tbody", ["role": "rowgroup"]) {
                rows.map { cells in
                    HTML("tr", ["role": "row"]) {
                        zip(columns, cells).map { column, cell in
                            HTML("td", ["role": "cell", "data-name": column]) { cell }
                        }
                    }
                }
            }
        }
    }
}
