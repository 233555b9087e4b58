/// What somebody asks of a ``MonitoringServer``.
public struct MonitoringRequest: Sendable {
    /// The longest target that is read, in bytes.
    static let maximumTargetLength = 4096

    /// The path, `/metrics`.
    public var path: String
    /// The parameters of the query; of two with the same name the first counts.
    public var parameters: [String: String]

    /// Makes a request.
    public init(path: String, parameters: [String: String] = [:]) {
        self.path = path
        self.parameters = parameters
    }

    /// Reads the target of a request (RFC 9112, section 3.2), in which `%XX` and, in the query, `+` are understood.
    init(target: String) {
        let parts = target.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
        let pieces = (parts.first ?? "").split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        path = Self.decoded(pieces.first ?? "", plusIsSpace: false)
        parameters = [:]
        guard pieces.count == 2 else { return }
        for pair in pieces[1].split(separator: "&") {
            let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = Self.decoded(sides.first ?? "", plusIsSpace: true)
            guard !name.isEmpty, parameters[name] == nil else { continue }
            parameters[name] = sides.count == 2 ? Self.decoded(sides[1], plusIsSpace: true) : ""
        }
    }

    private static func decoded(_ text: Substring, plusIsSpace: Bool) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                rest = rest.dropFirst(2)
                bytes.append(value)
            } else {
                bytes.append(plusIsSpace && byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// What a ``MonitoringServer`` answers.
public struct MonitoringResponse: Sendable {
    /// The status, as 200.
    public var status: Int
    /// The value of `Content-Type`.
    public var contentType: String
    /// The body.
    public var body: String

    /// Makes an answer.
    public init(status: Int = 200, contentType: String, body: String) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }

    /// An answer of one line of plain text.
    public static func text(_ text: String, status: Int = 200) -> MonitoringResponse {
        MonitoringResponse(status: status, contentType: "text/plain; charset=utf-8", body: text + "\n")
    }

    /// An answer in JSON.
    public static func json(_ value: JSON, status: Int = 200) -> MonitoringResponse {
        MonitoringResponse(status: status, contentType: "application/json", body: value.text + "\n")
    }

    /// A page of ``MetricRegistry/text``.
    public static func metrics(_ page: String) -> MonitoringResponse {
        MonitoringResponse(contentType: "text/plain; version=0.0.4; charset=utf-8", body: page)
    }
}
