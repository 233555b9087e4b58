/// The address of a host in a `hosts.toml`: the key of its table.
enum HostAddress {
    /// An address without the brackets of IPv6, for containerd 1.6 and 1.7: their TOML reader refuses `]` in the name of
    /// a table. With a port, containerd 1.6 to 2.1 connect to such an address as to one in brackets.
    static func withoutBrackets(_ text: String) -> String {
        guard let open = text.firstIndex(of: "["), let close = text[open...].firstIndex(of: "]"),
            text[..<open].allSatisfy({ $0 != "@" }), text[open...].contains(":"), !text[open...close].contains("%")
        else { return text }
        let address = text[text.index(after: open)..<close]
        let rest = text[text.index(after: close)...]
        let port = rest.hasPrefix(":") ? "" : text.lowercased().hasPrefix("http://") ? ":80" : ":443"
        return text[..<open] + address + port + rest
    }

    /// A form that is the same for all ways to write an address.
    static func normalised(_ text: String) -> String {
        var text = withoutBrackets(text).lowercased()
        while text.hasSuffix("/") { text.removeLast() }
        return text.contains("://") ? text : "https://" + text
    }
}
