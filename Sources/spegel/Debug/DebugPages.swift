import DebugPage
import HTTPServer
import Monitoring
import OCI

/// The page at `/debug/web/` and the API behind it (docs/api.md). They cost something only while somebody asks.
struct DebugPages: Sendable {
    /// How many of each may be under way.
    private let lookups = Gate(limit: 4)
    private let pulls = Gate(limit: 1)
    private let subscribers = Gate(limit: 16)
    /// How long they may listen before they have to ask anew.
    private static let streamLimit = Duration.seconds(3600)

    private let report: NodeReport
    private let interval: Duration

    /// - Parameter interval: how often those who listen are told.
    init(_ report: NodeReport, interval: Duration = .seconds(1)) {
        self.report = report
        self.interval = interval
    }

    /// The answers to GET.
    var routes: [String: HTTPServer.Handler] {
        var routes: [String: HTTPServer.Handler] = [
            "/debug/web": { _ in .redirect("/debug/web/") },
            "/debug/web/": { await page($0) },
            "/debug/web/resolve": { .part(await search($0).result) },
            "/debug/web/events": { _ in await stream { await pageEvents($0) } },
            "/debug/api/status": { _ in .json(await report.status().json) },
            "/debug/api/resolve": { await resolve($0) },
            "/debug/api/events": { _ in await stream { await statusEvents($0) } },
        ]
        for asset in PageAsset.allCases {
            routes["/debug/web/\(asset.rawValue)"] = { _ in .page(asset.text, contentType: asset.contentType) }
        }
        return routes
    }

    /// The answers to POST.
    var actions: [String: HTTPServer.Handler] {
        [
            "/debug/web/pull": { request in
                let (reference, result, status) = await pull(request)
                if request.parameters["part"] != nil { return .part(result, status: status == 403 ? 403 : 200) }
                return .page(
                    StatusPage.document(await report.status(), reference: reference, result: result),
                    status: status
                )
            },
            "/debug/api/pull": { request in
                let (_, result, status) = await pull(request)
                return switch result {
                case .pull(let report): .json(report.json, status: status)
                case .failure(let text): .error(text, status: status)
                case .image: .error("not a pull", status: 500)
                }
            },
        ]
    }

    // MARK: Looking

    private func page(_ request: ServerRequest) async -> ServerResponse {
        guard let reference = request.parameters["reference"] else {
            return .page(StatusPage.document(await report.status()))
        }
        let (result, status) = await search(request)
        return .page(
            StatusPage.document(await report.status(), reference: reference, result: result),
            status: status
        )
    }

    private func search(_ request: ServerRequest) async -> (result: SearchResult, status: Int) {
        let text = Self.reference(request)
        do {
            let name = try ImageName(text)
            guard let image = await lookups.run({ await report.resolve(name, as: text) }) else {
                return (.failure("Too many lookups at a time; try again in a moment."), 429)
            }
            return (.image(image), 200)
        } catch {
            return (.failure("\(error)"), 400)
        }
    }

    private func resolve(_ request: ServerRequest) async -> ServerResponse {
        let (result, status) = await search(request)
        return switch result {
        case .image(let report): .json(report.json)
        case .failure(let text): .error(text, status: status)
        case .pull: .error("not a lookup", status: 500)
        }
    }

    // MARK: Pulling

    private func pull(_ request: ServerRequest) async -> (reference: String, result: SearchResult, status: Int) {
        let text = Self.reference(request)
        guard request.origin.isOwn else {
            return (text, .failure("A page of another origin may not start a test pull."), 403)
        }
        do {
            guard case .image(let reference) = try ImageName(text) else {
                return (text, .failure("A test pull needs the name of an image, not a digest alone."), 400)
            }
            guard let report = await pulls.run({ await report.pull(reference, as: text) }) else {
                return (text, .failure("Another test pull is under way; try again in a moment."), 429)
            }
            return (text, .pull(report), 200)
        } catch {
            return (text, .failure("\(error)"), 400)
        }
    }

    private static func reference(_ request: ServerRequest) -> String {
        let text = request.parameters["reference"] ?? ""
        return String(text.drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
    }

    // MARK: Listening

    /// An answer that goes on while its client listens; nothing is gathered for a client that does not take it.
    private func stream(
        _ write: @escaping @Sendable (ServerStream) async -> Void
    ) async -> ServerResponse {
        guard subscribers.isOpen else { return .error("too many listen already", status: 429) }
        return ServerResponse(
            contentType: "text/event-stream",
            fields: PageSecurity.fields,
            body: .stream { stream in
                // Whoever comes after the last place was taken is let go, and comes back.
                await subscribers.run { await write(stream) }
            }
        )
    }

    private func pageEvents(_ stream: ServerStream) async {
        var updates = PageUpdates()
        await tell(stream) { status in
            // A comment keeps the connection alive, and finds out whether anybody is there.
            updates.changes(status).map { ServerSentEvent(name: "page", data: $0.text).text } ?? ":\n\n"
        }
    }

    private func statusEvents(_ stream: ServerStream) async {
        await tell(stream) { ServerSentEvent(name: "status", data: $0.json.text).text }
    }

    /// Tells of the node again and again until the client goes.
    private func tell(_ stream: ServerStream, _ event: (NodeStatus) -> String) async {
        let end = ContinuousClock.now + Self.streamLimit
        do {
            try await stream.send(ServerSentEvent.start)
            while ContinuousClock.now < end {
                try await stream.send(event(await report.status()))
                try await Task.sleep(for: interval)
            }
        } catch {
            // The client has gone.
        }
    }
}

extension ServerResponse {
    /// A page or a file of it.
    fileprivate static func page(
        _ text: String,
        contentType: String = "text/html; charset=utf-8",
        status: Int = 200
    ) -> ServerResponse {
        ServerResponse(status: status, contentType: contentType, fields: PageSecurity.fields, body: .text(text))
    }

    /// What was searched for, without the page around it. The page shows it whatever the status would be.
    fileprivate static func part(_ result: SearchResult, status: Int = 200) -> ServerResponse {
        page(result.fragment, status: status)
    }

    fileprivate static func redirect(_ path: String) -> ServerResponse {
        var response = ServerResponse.text("see \(path)", status: 308)
        response.fields.append(("Location", path))
        return response
    }
}
