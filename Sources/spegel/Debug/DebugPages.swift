import DebugAPI
import DebugPage
import HTTPServer
import OCI
import StructuredText

/// The page at `/debug/web/` and the API behind it (docs/api.md). They cost nothing without a reader.
struct DebugPages: Sendable {
    /// The limits of what runs at the same time.
    private let lookups = Gate(limit: 4)
    private let pulls = Gate(limit: 1)
    private let subscribers = Gate(limit: 16)
    /// The longest stream of events.
    private static let streamLimit = Duration.seconds(3600)

    private let report: NodeReport
    private let hosts: DebugHosts
    private let access: DebugAccess
    private let interval: Duration

    /// - Parameters:
    ///   - hosts: the hosts in whose name the pages are shown.
    ///   - access: the clients that they are shown to.
    ///   - interval: the time between two events of a stream.
    init(
        _ report: NodeReport,
        hosts: DebugHosts = DebugHosts(),
        access: DebugAccess = DebugAccess(),
        interval: Duration = .seconds(1)
    ) {
        self.report = report
        self.hosts = hosts
        self.access = access
        self.interval = interval
    }

    /// The handlers of GET.
    var routes: [String: HTTPServer.Handler] {
        var routes: [String: HTTPServer.Handler] = [
            "/": { _ in .redirect("/debug/web/") },
            "/debug": { _ in .redirect("/debug/web/") },
            "/debug/": { _ in .redirect("/debug/web/") },
            "/debug/web": { _ in .redirect("/debug/web/") },
            "/debug/web/": { await page($0) },
            "/debug/web/resolve": { .part(await search($0).result) },
            "/debug/web/events": { _ in await stream { await pageEvents($0) } },
            "/debug/api/status": { _ in .json(await report.status()) },
            "/debug/api/resolve": { await resolve($0) },
            "/debug/api/events": { _ in await stream { await statusEvents($0) } },
        ]
        for asset in PageAsset.allCases {
            routes["/debug/web/\(asset.rawValue)"] = { _ in .page(asset.text, contentType: asset.contentType) }
        }
        return guarding(routes)
    }

    /// The handlers of POST.
    var actions: [String: HTTPServer.Handler] {
        guarding([
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
                case .pull(let report): .json(report, status: status)
                case .failure(let text): .error(text, status: status)
                case .image: .error("not a pull", status: 500)
                }
            },
        ])
    }

    private func guarding(_ handlers: [String: HTTPServer.Handler]) -> [String: HTTPServer.Handler] {
        hosts.guarding(access.guarding(handlers))
    }

    // MARK: Lookups

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

    private func search(
        _ request: ServerRequest,
        follows: Bool = true
    ) async -> (result: SearchResult, status: Int) {
        let text = Self.reference(request)
        do {
            let name = try ImageName(text)
            let image = await lookups.run { await report.resolve(name, as: text, follows: follows) }
            guard let image else { return (.failure("Too many lookups at the same time. Try again in a moment."), 429) }
            return (.image(image), 200)
        } catch {
            return (.failure("\(error)"), 400)
        }
    }

    private func resolve(_ request: ServerRequest) async -> ServerResponse {
        let follow = request.parameters["follow"] ?? "true"
        guard follow == "true" || follow == "false" else {
            return .error("follow: expected true or false, got '\(follow)'", status: 400)
        }
        let (result, status) = await search(request, follows: follow == "true")
        return switch result {
        case .image(let report): .json(report)
        case .failure(let text): .error(text, status: status)
        case .pull: .error("not a lookup", status: 500)
        }
    }

    // MARK: Test pulls

    private func pull(_ request: ServerRequest) async -> (reference: String, result: SearchResult, status: Int) {
        let text = Self.reference(request)
        guard request.origin.isOwn else {
            return (text, .failure("A page of another origin cannot start a test pull."), 403)
        }
        do {
            guard case .image(let reference) = try ImageName(text) else {
                return (text, .failure("A test pull needs the name of an image. A digest alone is not enough."), 400)
            }
            guard let report = await pulls.run({ await report.pull(reference, as: text) }) else {
                return (text, .failure("Another test pull is running. Try again in a moment."), 429)
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

    // MARK: Events

    /// A response that lasts until its client goes. Nothing is queued for a client that does not read.
    private func stream(
        _ write: @escaping @Sendable (ServerStream) async -> Void
    ) async -> ServerResponse {
        guard subscribers.isOpen else {
            return .error("too many event streams at the same time; try again in a moment", status: 429)
        }
        return ServerResponse(
            contentType: "text/event-stream",
            fields: PageSecurity.fields,
            body: .stream { stream in
                // A client that comes after the last place was taken gets an empty stream, and reconnects.
                await subscribers.run { await write(stream) }
            }
        )
    }

    private func pageEvents(_ stream: ServerStream) async {
        var updates = PageUpdates()
        await send(to: stream) { status in
            let changes = updates.changes(status)
            // A comment keeps the connection alive, and shows whether the client is still there.
            return changes.isEmpty ? ":\n\n" : ServerSentEvent(name: "page", data: try JSONText.encode(changes)).text
        }
    }

    private func statusEvents(_ stream: ServerStream) async {
        await send(to: stream) { ServerSentEvent(name: "status", data: try JSONText.encode($0)).text }
    }

    /// Sends an event in each interval until the client goes.
    private func send(to stream: ServerStream, _ event: (NodeStatus) throws -> String) async {
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

    /// The result of a search without the page around it. The script shows it whatever the status.
    fileprivate static func part(_ result: SearchResult, status: Int = 200) -> ServerResponse {
        page(result.fragment, status: status)
    }

    fileprivate static func redirect(_ path: String) -> ServerResponse {
        var response = ServerResponse.text("see \(path)", status: 308)
        response.fields.append(("Location", path))
        return response
    }
}
