import Glibc
import StructuredText

/// Standard output, and its abilities.
enum Terminal {
    /// Whether it is a terminal that shows colours and moving bars.
    static var isInteractive: Bool {
        guard isatty(STDOUT_FILENO) == 1 else { return false }
        let environment = Environment.current
        return environment["NO_COLOR"].map(\.isEmpty) != false && environment["TERM"] != "dumb"
    }

    /// The number of characters in a line; 80 if it is unknown.
    static var width: Int {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    /// Writes a text unchanged. Drops it if it cannot be written, for example to a closed pipe.
    static func write(_ text: String) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            bytes = bytes.dropFirst(count)
        }
    }

    /// Writes a JSON document and a line break.
    static func write(json document: some Encodable) throws {
        write(try JSONText.encode(document) + "\n")
    }
}
