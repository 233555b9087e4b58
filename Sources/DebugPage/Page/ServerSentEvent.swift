/// Something that is told to whoever listens (HTML, "Server-sent events").
public struct ServerSentEvent: Hashable, Sendable {
    /// What a stream begins with: that it is one, and how long to wait before asking anew, in milliseconds.
    public static let start = "retry: 2000\n: here\n\n"

    /// The name of the event; of letters.
    public var name: String
    /// What it tells.
    public var data: String

    /// Makes an event.
    public init(name: String, data: String) {
        self.name = name
        self.data = data
    }

    /// The event as it is sent. Each line of the data has a line of its own, so that nothing in it can end the event.
    public var text: String {
        var text = "event: \(name)\n"
        let lines = data.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r" || $0 == "\r\n" }
        for line in lines { text += "data: \(line)\n" }
        return text + "\n"
    }
}
