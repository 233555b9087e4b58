import ArgumentParser

/// What a value on the command line must look like. The parser's own message names only the flag and the value.
enum ExpectedValue {
    /// The forms by the name that help gives to a value.
    private static let forms = [
        "addr": "HOST:PORT or :PORT, such as :5000",
        "address": "HOST:PORT or :PORT, such as :8080",
        "bool": "true or false",
        "count": "a number",
        "host:port": "HOST:PORT, such as spegel-cleanup:8080",
        "image": "REGISTRY/REPOSITORY:TAG or REGISTRY/REPOSITORY@DIGEST",
        "order": "cached or fresh",
        "platform": "OS/ARCHITECTURE, such as linux/arm64",
        "rate": "at least 100kB, such as 100MB or 1Gbit, or 0 for no limit",
        "time": "a time such as 20ms, 1.5s or 1m30s",
        "url": "a URL such as http://10.0.0.1:9090",
    ]

    /// The parser's message for an error, with the expected form of an invalid value.
    static func message(for error: any Error) -> String {
        // The parser does not name the values of hidden flags.
        let message = RareFlags.$areShown.withValue(true) { Spegel.message(for: error) }
        guard message.contains(" is invalid for '"), message.hasSuffix(">'"), let start = message.lastIndex(of: "<"),
            let form = forms[String(message[message.index(after: start)...].dropLast(2))]
        else { return message }
        return "\(message): expected \(form)"
    }
}
