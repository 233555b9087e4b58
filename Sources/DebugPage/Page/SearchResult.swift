/// What stands below the search box.
public enum SearchResult: Sendable {
    /// Who holds an image.
    case image(ImageReport)
    /// A test pull.
    case pull(PullReport)
    /// Why there is neither.
    case failure(String)

    /// The result alone, for a page that is there already.
    public var fragment: String { html.text }

    var html: HTML {
        switch self {
        case .image(let report): report.html
        case .pull(let report): report.html
        case .failure(let text): HTML("p", ["class": "alert", "role": "alert"]) { text }
        }
    }
}
