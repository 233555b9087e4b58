/// The files of the page, which are compiled in.
package enum PageAsset: String, CaseIterable, Sendable {
    case style = "page.css"
    case script = "page.js"
    case icon = "icon.svg"

    /// The value of `Content-Type`.
    package var contentType: String {
        switch self {
        case .style: "text/css; charset=utf-8"
        case .script: "text/javascript; charset=utf-8"
        case .icon: "image/svg+xml"
        }
    }

    /// The content of the file.
    package var text: String {
        switch self {
        case .style: String(decoding: PackageResources.page_css, as: UTF8.self)
        case .script: String(decoding: PackageResources.page_js, as: UTF8.self)
        case .icon: String(decoding: PackageResources.icon_svg, as: UTF8.self)
        }
    }
}
