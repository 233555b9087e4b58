import HTTPClient
import HTTPServer
import Logging
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import spegel

/// The errors of the commands that ask a node.
struct NodeAPITests {
    /// The failure of a request for the status to a server with some routes.
    private func failure(
        _ routes: [String: HTTPServer.Handler],
        authorization: String? = nil
    ) async throws -> (NodeAPI.Failure, port: Int) {
        let server = HTTPServer(
            configuration: HTTPServer.Configuration(host: "127.0.0.1", port: 0),
            routes: HTTPServer.Routes(reads: routes),
            group: MultiThreadedEventLoopGroup.singleton,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        let port = try #require(try await server.start()?.port)
        let api = NodeAPI(
            url: try #require(HTTPURL("http://127.0.0.1:\(port)")),
            authorization: authorization
        )
        let failure = await #expect(throws: NodeAPI.Failure.self) { try await api.status() }
        await server.shutdown()
        return (try #require(failure), port)
    }

    @Test func anUnreadableAnswerSaysWhatToDo() async throws {
        let (failure, port) = try await failure(["/debug/api/status": { _ in .text(#"{"node":{"version":"9"}}"#) }])
        #expect(
            failure.description
                == "expected the status of a node at http://127.0.0.1:\(port)/debug/api/status, found a document "
                + "without 'node.peer'. The node may run another version: compare its 'version' with that of this "
                + "command, \(Version.text), or read the answer with "
                + "'curl http://127.0.0.1:\(port)/debug/api/status'"
        )
    }

    @Test func anErrorOfTheNodeIsPassedOn() async throws {
        let (failure, _) = try await failure(["/debug/api/status": { _ in .error("too many \u{1B}[2J", status: 429) }])
        #expect(failure == .refused("too many ?[2J"))
    }

    @Test func aPasswordIsSentOnlyWhereItIsGiven() async throws {
        let fields = Mutex<[String?]>([])
        let routes: [String: HTTPServer.Handler] = [
            "/debug/api/status": { request in
                fields.withLock { $0.append(request.client.authorization) }
                return .error("only with the password", status: 401)
            }
        ]
        let (failure, _) = try await failure(routes)
        #expect(failure == .refused("only with the password: set --basic-auth-dir to a folder with it"))
        _ = try await self.failure(routes, authorization: "Basic YTpi")
        #expect(fields.withLock { $0 } == [nil, "Basic YTpi"])
    }

    @Test func anotherServerIsNamed() async throws {
        var (failure, port) = try await failure(["/metrics": { _ in .text("spegel_ready 1") }])
        #expect(failure == .turnedOff(address: "http://127.0.0.1:\(port)"))
        (failure, port) = try await self.failure(["/v2/": { _ in .text("") }])
        #expect(failure == .registry(address: "http://127.0.0.1:\(port)"))
        (failure, port) = try await self.failure([:])
        #expect(failure == .notANode(address: "http://127.0.0.1:\(port)", status: 404))
        #expect(failure.description.contains("got status 404 from http://127.0.0.1:\(port). Set --address to"))
    }
}
