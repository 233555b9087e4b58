import Glibc
import NIOCore
import NIOPosix
import Testing

@testable import ContainerdStore

/// The errors when no containerd listens on the socket.
@Suite(.timeLimit(.minutes(1))) struct SocketErrorTests {
    @Test(arguments: ["", "/" + String(repeating: "x", count: 107), "/a\u{0}b"])
    func invalidPath(path: String) async {
        await #expect(throws: ContainerdError.invalidSocketPath(path)) {
            try await withStore(socketPath: path) { _ in }
        }
    }

    @Test func missingSocket() async throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/none.sock"
        await expect(.socketMissing(path: path), socketPath: path)
    }

    @Test func regularFileInPlaceOfSocket() async throws {
        let folder = try TemporaryFolder()
        try folder.write("file", [])
        await expect(.notASocket(path: "\(folder.path)/file"), socketPath: "\(folder.path)/file")
    }

    @Test func socketWithoutListener() async throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/old.sock"
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(unixDomainSocketPath: path).get()
        // Renamed, so that the listener does not remove it.
        #expect(rename(path, path + ".kept") == 0)
        try await server.close()
        await expect(.notListening(path: path + ".kept"), socketPath: path + ".kept")
    }

    @Test func silentServer() async throws {
        try await withServer(answer: nil) { path in
            let deadline = Duration.milliseconds(300)
            await expect(
                .timedOut(operation: "get the version", path: path, after: deadline),
                socketPath: path,
                deadlines: .init(call: deadline)
            )
        }
    }

    @Test func serverOfAnotherProtocol() async throws {
        try await withServer(answer: "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n") { path in
            try await withStore(socketPath: path, deadlines: .init(call: .seconds(5))) { store in
                let error = await #expect(throws: ContainerdError.self) { try await store.verify() }
                guard case .unavailable(path, _) = error else {
                    Issue.record("unexpected error: \(String(describing: error))")
                    return
                }
            }
        }
    }

    @Test func closedStore() async throws {
        let folder = try TemporaryFolder()
        try await withStore(socketPath: "\(folder.path)/none.sock") { store in
            store.close()
            await #expect(throws: ContainerdError.closed) { try await store.verify() }
            await #expect(throws: ContainerdError.closed) { for try await _ in store.changes() {} }
        }
    }

    @Test func everyErrorHasOneLine() {
        let errors: [ContainerdError] = [
            .invalidSocketPath(""), .socketMissing(path: "/s"), .notASocket(path: "/s"), .permissionDenied(path: "/s"),
            .notListening(path: "/s"), .notContainerd(path: "/s", reason: "r"), .unavailable(path: "/s", reason: "r"),
            .timedOut(operation: "o", path: "/s", after: .seconds(10)),
            .refused(operation: "o", code: "c", message: "m"), .malformedAnswer(operation: "o", detail: "d"), .closed,
        ]
        for error in errors {
            #expect(!error.description.contains("\n"))
            #expect(error.description.count > 20)
        }
        #expect(
            ContainerdError.timedOut(operation: "list images", path: "/s", after: .seconds(10)).description
                == "containerd on /s timed out after 10.0 seconds (list images): check that it is healthy"
        )
    }

    /// Expects every kind of call and a watch to fail with this error.
    private func expect(
        _ expected: ContainerdError,
        socketPath: String,
        deadlines: ContainerdStore.Deadlines = .init()
    ) async {
        do {
            try await withStore(socketPath: socketPath, deadlines: deadlines) { store in
                await #expect(throws: expected) { for try await _ in store.changes() {} }
                _ = try await store.verify()
            }
            Issue.record("the call succeeded")
        } catch {
            #expect(error as? ContainerdError == expected)
        }
    }

    /// Runs a server that sends an answer to each client and closes the connection, or sends nothing at all.
    private func withServer(answer: String?, _ body: (String) async throws -> Void) async throws {
        let folder = try TemporaryFolder()
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                if let answer {
                    channel.writeAndFlush(ByteBuffer(string: answer)).whenComplete { _ in channel.close(promise: nil) }
                }
                return channel.eventLoop.makeSucceededVoidFuture()
            }
            .bind(unixDomainSocketPath: "\(folder.path)/s.sock").get()
        do {
            try await body("\(folder.path)/s.sock")
        } catch {
            try await server.close()
            throw error
        }
        try await server.close()
    }
}
