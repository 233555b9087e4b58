/// What browsers are told about the page: nothing comes from elsewhere, nothing of it runs or shows elsewhere.
public enum PageSecurity {
    /// The header fields of the page and its files.
    public static let fields: [(name: String, value: String)] = [
        (
            "Content-Security-Policy",
            "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
        ),
        // None to others. With `no-referrer` a form would be sent with the origin `null`, and could not be told from one
        // of another page.
        ("Referrer-Policy", "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    ]
}
