import Glibc
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import Registry

extension LoopbackTests {
    /// What TCP does on connections that a registry accepts.
    @Suite(.serialized, .timeLimit(.minutes(1))) struct CongestionControlTests {
        @Test func replacesOnlyPacedChoice() {
            for system in ["cubic", "reno", "dctcp", nil] {
                let choice = CongestionControl(configured: nil, system: system)
                #expect(choice.first == nil && choice.farther == nil)
            }
            for system in ["bbr", "bbr2"] {
                let choice = CongestionControl(configured: nil, system: system)
                #expect(choice.first == "reno" && choice.farther == system && !choice.isConfigured)
                let wanted = CongestionControl(configured: "cubic", system: system)
                #expect(wanted.first == "cubic" && wanted.farther == nil && wanted.isConfigured)
            }
        }

        @Test func connectionsHaveTheConfiguredChoice() async throws {
            let usual = CongestionControl(configured: nil).first ?? CongestionControl.ofSystem
            // Something that they would not have anyhow.
            let wanted = try #require(["cubic", "reno", "bbr"].first { $0 != usual && mayUse($0) })
            let node = try await TestNode { $0.clients.congestionControl = wanted }
            let client = try RawClient(node.address)
            for header in ["", "X-Spegel-Mirrored: true\r\n"] {
                try client.send(
                    "GET /v2/a/blobs/sha256:\(String(repeating: "0", count: 64)) HTTP/1.1\r\nHost: x\r\n\(header)\r\n"
                )
                #expect(try await blocking { try client.response()?.status } == 404)
                #expect(name(try #require(node.server.openChannels.first)) == wanted)
            }
            await node.server.shutdown()
        }

        @Test func unknownChoiceIsError() async {
            let error = await #expect(throws: RegistryError.self) {
                try await TestNode { $0.clients.congestionControl = "none" }
            }
            #expect(
                error?.description.hasPrefix("cannot use the TCP congestion control 'none': this kernel has ") == true
            )
            #expect(error?.description.contains("reno") == true)
        }

        /// Only a node that is far away, and none of this machine is farther than a second.
        @Test(arguments: [0, 1_000_000] as [UInt32])
        func distantPeersHaveSystemChoice(farAway: UInt32) async throws {
            let choice = CongestionControl(configured: nil, system: "bbr", farAway: farAway)
            let accepted = MultiThreadedEventLoopGroup.singleton.any().makePromise(of: (any Channel).self)
            let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .serverChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture { try choice.prepare(channel) }
                }
                .childChannelInitializer { channel in
                    accepted.succeed(channel)
                    return channel.eventLoop.makeSucceededVoidFuture()
                }
                .bind(host: "127.0.0.1", port: 0).get()
            let client = try RawClient(try #require(listener.localAddress))
            let connection = try await accepted.futureResult.get()
            #expect(name(connection) == "reno")
            choice.isOfPeer(connection)
            #expect(name(connection) == (farAway == 0 && mayUse("bbr") ? "bbr" : "reno"))
            // The client may have closed it.
            _ = consume client
            try? await connection.close()
            try await listener.close()
        }

        /// Whether the kernel lets this process use it.
        private func mayUse(_ name: String) -> Bool {
            let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(socket) }
            return setsockopt(socket, Int32(IPPROTO_TCP), TCP_CONGESTION, name, socklen_t(name.utf8.count)) == 0
        }

        private func name(_ channel: any Channel) -> String? {
            guard let channel = channel as? any NIOTransportAccessibleChannelCore<NIOBSDSocket.Handle> else {
                return nil
            }
            return try? channel.withUnsafeTransport { socket in
                var name = [UInt8](repeating: 0, count: 16)
                var size = socklen_t(name.count)
                guard getsockopt(socket, Int32(IPPROTO_TCP), TCP_CONGESTION, &name, &size) == 0 else { return nil }
                return String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)
            }
        }
    }
}
