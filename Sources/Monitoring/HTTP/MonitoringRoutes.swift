import NIOHTTP1

extension MonitoringServer {
    /// What there is to be asked for.
    struct Routes: Sendable {
        /// The answers to GET and HEAD by their paths.
        var reads: [String: Handler]
        /// The answers to POST by their paths.
        var actions: [String: Handler]

        /// Who answers a request.
        enum Match {
            case handler(Handler)
            /// Nobody, whatever the method.
            case absent
            /// Nobody with this method; those that there are, as in `Allow`.
            case notAllowed(String)
        }

        func handler(_ method: HTTPMethod, _ path: String) -> Match {
            let isRead = method == .GET || method == .HEAD
            let table = isRead ? reads : method == .POST ? actions : [:]
            if let handler = table[path] { return .handler(handler) }
            switch (reads[path] != nil, actions[path] != nil) {
            case (true, true): return .notAllowed("GET, HEAD, POST")
            case (true, false): return .notAllowed("GET, HEAD")
            case (false, true): return .notAllowed("POST")
            case (false, false): return .absent
            }
        }
    }
}
