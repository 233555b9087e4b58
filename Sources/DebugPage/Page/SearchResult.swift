import DebugAPI

/// The content below the search box.
package enum SearchResult: Sendable {
    /// The nodes that hold an image.
    case image(ImageReport)
    /// A test pull.
    case pull(PullReport)
    /// The reason why there is neither.
    case failure(String)

    /// The markup of the result alone, which the script inserts.
    package var fragment: String { html.text }

    var html: HTML {
        switch self {
        case .image(let report): report.html
        case .pull(let report): report.html
        case .failure(let text): HTML("p", ["class": "alert", "role": "alert"]) { text }
        }
    }
}
