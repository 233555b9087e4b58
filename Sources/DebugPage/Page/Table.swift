/// A table that becomes a list of cards on a narrow screen; the roles say what it is however it is laid out.
struct Table {
    /// The names of the columns.
    let columns: [String]
    /// What it is a table of, for whoever does not see the heading.
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
