/// An event of a stream (HTML, "Server-sent events").
package struct ServerSentEvent: Hashable, Sendable {
    /// The start of a stream: the delay before a client reconnects, in milliseconds, and a comment.
    package static let start = "retry: 2000\n: here\n\n"

    /// The name of the event, in letters.
    package var name: String
    package var data: String

    package init(name: String, data: String) {
        self.name = name
        self.data = data
    }

    /// The event in the format of the stream. Each line of the data has a prefix, so that no data can end the event.
    package var text: String {
        var text = "event: \(name)\n"
        let lines = data.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r" || $0 == "\r\n" }
        for line in lines { text += "data: \(line)\n" }
        return text + "\n"
    }
}
