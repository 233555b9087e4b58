import Logging
import Multiformats
import NIOPosix
import Testing
import Time

@testable import LibP2P

extension LoopbackTests {
    /// Two hosts with one identity, as on machines of one image.
    @Suite(.serialized, .timeLimit(.minutes(1))) struct SharedIdentityTests {
        private func withCopies(_ security: SecurityProtocol, _ body: (Host, Host) async throws -> Void) async throws {
            let keyPair = KeyPair()
            var configuration = HostConfiguration(
                listenAddresses: [try Multiaddr("/ip4/127.0.0.1/tcp/0")],
                agentVersion: "test/1"
            )
            configuration.securities = [security]
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let hosts = (0..<2).map { _ in
                Host(
                    configuration: configuration,
                    keyPair: keyPair,
                    group: MultiThreadedEventLoopGroup.singleton,
                    logger: logger
                )
            }
            do {
                for host in hosts { try await host.start() }
                try await body(hosts[0], hosts[1])
            } catch {
                for host in hosts { await host.shutdown() }
                throw error
            }
            for host in hosts { await host.shutdown() }
        }

        @Test(arguments: [SecurityProtocol.tls, .noise])
        func bothSidesTellCopyFromThemselves(security: SecurityProtocol) async throws {
            try await withCopies(security) { one, two in
                let (own, other) = (try #require(one.listenAddresses.first), try #require(two.listenAddresses.first))
                // The first connection makes the certificates.
                for _ in 0..<2 { await #expect(throws: HostError.self) { try await one.connect(to: own) } }
                try await eventually { one.statistics.handshakesFailed[.selfDial] ?? 0 >= 2 }
                #expect(one.statistics.handshakesFailed[.sharedIdentity] == nil && one.sharedIdentityAddress == nil)

                await #expect(throws: HostError.self) { try await one.connect(to: other) }
                #expect(one.statistics.handshakesFailed[.sharedIdentity] == 1)
                try await eventually { two.statistics.handshakesFailed[.sharedIdentity] == 1 }
                #expect(one.sharedIdentityAddress == "\(other)" && two.sharedIdentityAddress == "127.0.0.1")
                #expect(two.statistics.handshakesFailed[.selfDial] == nil)
            }
        }

        @Test func copyIsForgottenAndWarningsAreRare() {
            var identity = SharedIdentity()
            let start = MonotonicTime.now
            #expect(identity.address(now: start) == nil)
            let warnings = [
                identity.meet("a", now: start), identity.meet("b", now: start + .seconds(60)),
                identity.meet("c", now: start + .seconds(101)),
            ]
            #expect(warnings == [true, false, true])
            #expect(identity.address(now: start + .seconds(200)) == "c")
            #expect(identity.address(now: start + .seconds(202)) == nil)
        }
    }
}
