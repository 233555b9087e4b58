extension StatusPage {
    /// The search box with its result. Without the script its two buttons lead to whole pages.
    static func search(_ reference: String, _ result: SearchResult?) -> HTML {
        HTML("section", ["class": "card card-search", "aria-labelledby": "search-title"]) {
            HTML("h2", ["id": "search-title"]) { "Find an image" }
            HTML("form", ["id": "search", "role": "search", "action": "./", "method": "get"]) {
                HTML("label", ["for": "reference"]) { "Image or digest" }
                HTML("div", ["class": "search-row"]) {
                    HTML(
                        "input",
                        [
                            "id": "reference", "name": "reference", "type": "text", "required": "", "maxlength": "1024",
                            "placeholder": "docker.io/library/alpine:3", "value": reference, "autocomplete": "off",
                            "autocapitalize": "none", "spellcheck": "false", "aria-describedby": "search-note",
                        ]
                    )
                    HTML("button", ["type": "submit"]) { "Look up" }
                    HTML(
                        "button",
                        ["type": "submit", "class": "second", "formmethod": "post", "formaction": "pull"]
                    ) { "Test pull" }
                }
                HTML("p", ["id": "search-note", "class": "note"]) {
                    "A test pull fetches the image through this node as containerd would, and discards the bytes."
                }
            }
            HTML("div", ["id": "result", "aria-live": "polite"]) { result?.html ?? HTML() }
        }
    }
}
