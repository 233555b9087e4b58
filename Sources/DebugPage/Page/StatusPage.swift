import DebugAPI

/// The page at `/debug/web/`. It is complete without its script, which keeps it up to date and shows searches in place.
package enum StatusPage {
    /// The most peers and images.
    static let rowLimit = 40
    /// The most transfers and failures.
    static let shortLimit = 20

    /// A part of the page that changes.
    struct Section {
        var id: String
        var content: HTML
    }

    /// The whole page.
    ///
    /// - Parameters:
    ///   - reference: the text in the search box.
    ///   - result: the content below it.
    package static func document(_ status: NodeStatus, reference: String = "", result: SearchResult? = nil) -> String {
        let parts = Dictionary(sections(status).map { ($0.id, $0.content) }) { first, _ in first }
        func part(_ id: String) -> HTML { parts[id] ?? HTML() }
        return HTML.document(
            HTML("html", ["lang": "en"]) {
                head(status)
                HTML("body") {
                    HTML("a", ["class": "skip", "href": "#main"]) { "Skip to content" }
                    HTML("header", ["class": "top"]) {
                        HTML("div", ["class": "brand"]) {
                            logo
                            HTML("h1") { "Spegel" }
                            HTML("p", ["class": "note"]) { "on \(name(status.node))" }
                        }
                        HTML("div", ["id": "badge", "class": "badge-place"]) { part("badge") }
                        HTML("p", ["id": "live", "class": "live", "role": "status"]) { "Not live" }
                    }
                    HTML("main", ["id": "main", "tabindex": "-1"]) {
                        search(reference, result)
                        card("node", "This node", part("node"))
                        card("saved", "Traffic saved", part("saved"))
                        card("transfers", "Transfers in flight", part("transfers"))
                        card("peers", "Peers", part("peers"))
                        card("images", "Images on this node", part("images"))
                        card("failures", "Recent failures", part("failures"))
                    }
                    HTML("footer") {
                        HTML("p") {
                            "This page as JSON: "
                            HTML("a", ["href": "../api/status"]) { "status" }
                            ". For Prometheus: "
                            HTML("a", ["href": "/metrics"]) { "metrics" }
                            ". Times are in UTC."
                        }
                    }
                }
            }
        )
    }

    /// The parts that change, with the ids of their elements.
    static func sections(_ status: NodeStatus) -> [Section] {
        [
            Section(id: "badge", content: badge(status.node)),
            Section(id: "node", content: node(status)),
            Section(id: "saved", content: saved(status)),
            Section(id: "transfers", content: transfers(status)),
            Section(id: "peers", content: peers(status.peers)),
            Section(id: "images", content: images(status)),
            Section(id: "failures", content: failures(status.failures)),
        ]
    }

    private static func head(_ status: NodeStatus) -> HTML {
        HTML("head") {
            HTML("meta", ["charset": "utf-8"])
            HTML("meta", ["name": "viewport", "content": "width=device-width, initial-scale=1"])
            HTML("meta", ["name": "color-scheme", "content": "light dark"])
            HTML("title") { "Spegel on \(name(status.node))" }
            HTML("link", ["rel": "icon", "href": "icon.svg", "type": "image/svg+xml"])
            HTML("link", ["rel": "stylesheet", "href": "page.css"])
            HTML("script", ["src": "page.js", "type": "module"])
        }
    }

    private static func card(_ id: String, _ title: String, _ content: HTML) -> HTML {
        HTML("section", ["class": "card card-\(id)", "aria-labelledby": "\(id)-title"]) {
            HTML("h2", ["id": "\(id)-title"]) { title }
            HTML("div", ["id": id]) { content }
        }
    }

    private static var logo: HTML {
        HTML("svg", ["class": "logo", "viewBox": "0 0 32 32", "aria-hidden": "true", "focusable": "false"]) {
            HTML("path", ["d": "M4 9l10-5v24L4 23z", "class": "logo-one"])
            HTML("path", ["d": "M28 9L18 4v24l10-5z", "class": "logo-two"])
        }
    }

    /// The node's first address that peers can use, or else its id.
    private static func name(_ node: NodeStatus.Node) -> String {
        let hosts = node.addresses.map(host)
        let local: Set = ["127.0.0.1", "::1", "0.0.0.0", "::"]
        return hosts.first { !local.contains($0) } ?? Words.peer(node.peerID)
    }

    static func badge(_ node: NodeStatus.Node) -> HTML {
        let isWell = node.isReady && node.stalls.isEmpty
        return HTML("span", ["class": isWell ? "badge good" : "badge bad"]) {
            node.isReady ? node.stalls.isEmpty ? "Ready" : "Stalled" : "Not ready"
        }
    }

    /// The address in a multiaddr such as `/ip4/10.0.0.1/tcp/5001`, or the text as it is.
    static func host(_ multiaddr: String) -> String {
        let parts = multiaddr.split(separator: "/")
        return parts.count >= 2 ? String(parts[1]) : multiaddr
    }

    /// A list of names and values.
    static func facts(_ facts: [(name: String, value: HTML)]) -> HTML {
        HTML("dl", ["class": "facts"]) {
            facts.map { fact in
                HTML("div") {
                    HTML("dt") { fact.name }
                    HTML("dd") { fact.value }
                }
            }
        }
    }

    /// The text in the place of an empty list.
    static func empty(_ text: String) -> HTML { HTML("p", ["class": "empty"]) { text } }

    /// A shortened text with the whole text as its tooltip.
    static func code(_ short: String, whole: String? = nil) -> HTML {
        HTML("code", ["title": whole == short ? nil : whole]) { short }
    }
}
