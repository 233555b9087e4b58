/// The rules for browsers: the page loads nothing from other origins, and no other page may embed it.
package enum PageSecurity {
    /// The header fields of the page and its files.
    package static let fields: [(name: String, value: String)] = [
        (
            "Content-Security-Policy",
            "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
        ),
        // No referrer for other origins. With `no-referrer` the page's own forms would have the origin `null`, like those
        // of a page that attacks.
        ("Referrer-Policy", "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    ]
}
