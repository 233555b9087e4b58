import NIOHTTP1

extension HTTPServer.Routes {
    /// The outcome of a search for a handler.
    enum Match {
        case handler(HTTPServer.Handler, isHealthCheck: Bool)
        /// The path has no handler.
        case absent
        /// The path has handlers for these methods only, in the form of `Allow`.
        case notAllowed(String)
    }

    func handler(_ method: HTTPMethod, _ path: String) -> Match {
        let isRead = method == .GET || method == .HEAD
        let table = isRead ? reads : method == .POST ? actions : [:]
        if let handler = table[path] { return .handler(handler, isHealthCheck: isRead && health.contains(path)) }
        switch (reads[path] != nil, actions[path] != nil) {
        case (true, true): return .notAllowed("GET, HEAD, POST")
        case (true, false): return .notAllowed("GET, HEAD")
        case (false, true): return .notAllowed("POST")
        case (false, false): return .absent
        }
    }
}
