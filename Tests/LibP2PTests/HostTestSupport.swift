import Glibc
import Logging
import Multiformats
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import LibP2P

/// Runs `body` with hosts on loopback ports, and always shuts them down.
func withHosts(
    _ count: Int,
    configure: (inout HostConfiguration) -> Void = { _ in },
    _ body: ([Host]) async throws -> Void
) async throws {
    var configuration = HostConfiguration(
        listenAddresses: [try Multiaddr("/ip4/127.0.0.1/tcp/0")],
        agentVersion: "test/1"
    )
    configuration.shutdownTimeout = .seconds(2)
    configure(&configuration)
    let group = MultiThreadedEventLoopGroup.singleton
    var logger = Logger(label: "test")
    logger.logLevel = .error
    var hosts: [Host] = []
    for _ in 0..<count {
        hosts.append(Host(configuration: configuration, keyPair: KeyPair(), group: group, logger: logger))
    }
    do {
        for host in hosts { try await host.start() }
        try await body(hosts)
    } catch {
        for host in hosts { await host.shutdown() }
        throw error
    }
    for host in hosts { await host.shutdown() }
    for host in hosts {
        #expect(host.connectedPeers.isEmpty)
        #expect(host.tasks.count == 0)
    }
}

extension Host {
    /// The id and addresses of this host.
    var info: PeerInfo { PeerInfo(id: peerID, addresses: listenAddresses) }

    /// The port of the only listener.
    var port: Int { Int(listenAddresses.first?.tcpPort ?? 0) }
}

/// Waits at most ten seconds until a condition becomes true.
func eventually(_ condition: @Sendable () -> Bool, sourceLocation: SourceLocation = #_sourceLocation) async throws {
    let deadline = ContinuousClock.now + .seconds(10)
    while !condition() {
        guard ContinuousClock.now < deadline else {
            Issue.record("the condition did not become true in 10 s", sourceLocation: sourceLocation)
            return
        }
        try await Task.sleep(for: .milliseconds(10))
    }
}

/// Sends back all received bytes.
@Sendable func echo(_ stream: MuxedStream) async {
    do {
        while let bytes = try await stream.read(upTo: 64 * 1024) { try await stream.write(bytes) }
        stream.closeWrite()
    } catch {
        stream.reset()
    }
}

/// A plain TCP client, for input that no host would send.
func connectPlainly(to port: Int) async throws -> any Channel {
    try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .connect(host: "127.0.0.1", port: port).get()
}

/// The number of open descriptors of this process.
func openDescriptors() throws -> Int {
    let directory = try #require(opendir("/proc/self/fd"))
    defer { closedir(directory) }
    var count = 0
    while readdir(directory) != nil { count += 1 }
    return count
}

extension Host {
    /// The addresses under which connected peers see this host, with the number of peers, the most frequent first. Each
    /// peer has one vote.
    var observedAddresses: [(address: Multiaddr, peers: Int)] {
        let addresses = state.withLock { $0.table.identified.values.compactMap(\.observedAddress) }
        let counts = addresses.reduce(into: [:]) { $0[$1, default: 0] += 1 }
        return counts.sorted { ($1.value, $0.key.description) < ($0.value, $1.key.description) }
            .map { (address: $0.key, peers: $0.value) }
    }
}
