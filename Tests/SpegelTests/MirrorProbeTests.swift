import HTTPClient
import HTTPServer
import Logging
import NIOCore
import NIOPosix
import Testing

@testable import spegel

/// Whether a Spegel answers at a mirror's address, or another program.
@Suite(.timeLimit(.minutes(1)))
struct MirrorProbeTests {
    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    /// Runs a server that answers each path with a status.
    private func withServer(_ statuses: [String: Int], _ body: (HTTPURL) async throws -> Void) async throws {
        let server = HTTPServer(
            configuration: HTTPServer.Configuration(host: "127.0.0.1", port: 0),
            routes: HTTPServer.Routes(
                reads: statuses.mapValues { status in { @Sendable _ in ServerResponse.text("x", status: status) } }
            ),
            group: MultiThreadedEventLoopGroup.singleton,
            logger: Self.logger
        )
        let port = try #require(try await server.start()?.port.flatMap { UInt16(exactly: $0) })
        do {
            try await body(HTTPURL(isSecure: false, host: "127.0.0.1", port: port))
        } catch {
            await server.shutdown()
            throw error
        }
        await server.shutdown()
    }

    private func find(_ url: HTTPURL) async -> MirrorProbe.Finding {
        await MirrorProbe(url: url, group: MultiThreadedEventLoopGroup.singleton).find()
    }

    @Test(
        arguments: [
            (["/v2/": 200, "/readyz": 200], .spegel), (["/v2/": 401, "/readyz": 503], .spegel),
            (["/v2/": 403, "/readyz": 200], .spegel),
            (["/v2/": 200], .stranger("/readyz answers with status 404")),
            (["/readyz": 200], .stranger("/v2/ answers with status 404")),
            ([:], .stranger("/v2/ answers with status 404")),
        ] as [([String: Int], MirrorProbe.Finding)]
    )
    func programIsToldByItsAnswers(_ statuses: [String: Int], _ finding: MirrorProbe.Finding) async throws {
        try await withServer(statuses) { #expect(await find($0) == finding) }
    }

    @Test func silenceIsNoStranger() async throws {
        var place: HTTPURL?
        try await withServer([:]) { place = $0 }
        let url = try #require(place)
        #expect(await find(url) == .nothing)
    }

    @Test func serviceNotesStrangers() async throws {
        func note(_ statuses: [String: Int]) async throws -> String? {
            var note: String?
            try await withServer(statuses) { url in
                let service = MirrorProbeService(
                    [url],
                    group: MultiThreadedEventLoopGroup.singleton,
                    logger: Self.logger
                )
                #expect(service.note == nil)
                let task = Task { try await service.run() }
                for _ in 0..<100 where service.note == nil { try await Task.sleep(for: .milliseconds(10)) }
                note = service.note
                task.cancel()
                try await task.value
            }
            return note
        }
        #expect(try await note([:])?.contains("another program answers containerd at http://127.0.0.1:") == true)
        #expect(try await note(["/v2/": 200, "/readyz": 200]) == nil)
    }

    @Test(arguments: [
        ("http://127.0.0.1:1", true), ("http://localhost:1", true), ("http://[::1]:1", true),
        ("http://192.0.2.1:1", false), ("http://cache.example", false),
    ])
    func onlyAddressesOfThisMachineAreItsOwn(_ url: String, _ isOwn: Bool) throws {
        #expect(MirrorProbe.isOnThisMachine(try #require(HTTPURL(url))) == isOwn)
    }
}
