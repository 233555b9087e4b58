import FoundationEssentials
import Glibc
import Kademlia
import LibP2P
import Multiformats
import NIOCore
import NIOPosix
import Routing
import ServiceLifecycle

/// Runs the received commands in order.
struct Session: Service {
    let host: Host
    let router: DHTRouter
    let protocolPrefix: String

    /// Prints the node's id, then answers commands until the input ends or `quit`.
    func run() async throws {
        answer(PeerAnswer(PeerInfo(id: host.peerID, addresses: host.listenAddresses)))
        while let line = await nextLine(), !Task.isCancelled {
            do {
                let command = try JSONDecoder().decode(Command.self, from: Data(line.utf8))
                if command.name == .quit { return answer(Done()) }
                try await withDeadline(.seconds(command.timeout)) { try await carryOut(command) }
            } catch {
                write(Answer<Done>(error: "\(error)"))
            }
        }
    }

    private func carryOut(_ command: Command) async throws {
        switch command.name {
        case .connect:
            answer("\(try await host.connect(to: Multiaddr(command.address ?? "")))")
        case .disconnect:
            host.disconnect(from: try peer(command))
            answer(Done())
        case .connections:
            answer(host.connections(with: try peer(command)).map { ConnectionAnswer($0) })
        case .identify:
            answer(host.identifyInfo(of: try peer(command)).map { IdentifyAnswer($0) })
        case .ping:
            let time = try await host.ping(PeerInfo(id: try peer(command), addresses: []))
            answer(time / .milliseconds(1))
        case .echo:
            guard let size = command.size else { throw CommandError.missing("size") }
            let stream = try await openStream(to: try peer(command), protocols: [Echo.protocolID])
            try await Echo.check(stream, size: size)
            stream.close()
            answer(Done())
        case .openStream:
            let stream = try await openStream(to: try peer(command), protocols: command.protocols ?? [])
            stream.close()
            answer(stream.protocolID)
        case .findNode:
            guard let target = command.target else { throw CommandError.missing("target") }
            let reply = try await ask(try peer(command), Message(kind: .findNode, key: PeerID(target).bytes))
            answer(reply.closerPeers.map { PeerAnswer($0.info) })
        case .getProviders:
            let reply = try await ask(try peer(command), Message(kind: .getProviders, key: try key(command).bytes))
            answer(reply.providerPeers.map { PeerAnswer($0.info) })
        case .provide:
            await router.advertise([try content(command)])
            answer(Done())
        case .stopProviding:
            await router.withdraw([try content(command)])
            answer(Done())
        case .findProviders:
            var found: [String: [String]] = [:]
            for await provider in router.providers(of: try content(command), limit: command.limit ?? 20) {
                found[provider.peerID] = provider.addresses.map { "\($0.ipAddress ?? ""):\($0.port ?? 0)" }
            }
            try Task.checkCancellation()
            answer(found)
        case .counts:
            answer(CountsAnswer(peers: router.counts.peers, records: router.counts.records))
        case .quit:
            return
        }
    }

    // MARK: Peers

    private func openStream(to peer: PeerID, protocols: [String]) async throws -> MuxedStream {
        try await host.openStream(to: PeerInfo(id: peer, addresses: []), protocols: protocols)
    }

    /// Sends one request of the DHT over an existing connection and returns the reply.
    private func ask(_ peer: PeerID, _ message: Message) async throws -> Message {
        let stream = try await openStream(to: peer, protocols: [protocolPrefix + "/kad/1.0.0"])
        defer { stream.close() }
        try await stream.writeMessage(ByteBuffer(bytes: message.encoded()))
        guard let reply = try await stream.readMessage(maxLength: Message.maximumSize) else {
            throw CommandError(description: "peer closed the stream without a reply")
        }
        return try Message(decoding: Array(reply.readableBytesView))
    }

    // MARK: Parameters

    private func peer(_ command: Command) throws -> PeerID {
        guard let peer = command.peer else { throw CommandError.missing("peer") }
        return try PeerID(peer)
    }

    private func content(_ command: Command) throws -> String {
        guard let content = command.content else { throw CommandError.missing("content") }
        return content
    }

    private func key(_ command: Command) throws -> Key { Key(try content(command)) }

    // MARK: Lines

    /// The next line of standard input, read on a blocking thread.
    private func nextLine() async -> String? {
        (try? await NIOThreadPool.singleton.runIfActive { readLine() }) ?? nil
    }

    private func answer(_ result: some Encodable) {
        write(Answer(result: result))
    }

    private func write(_ answer: some Encodable) {
        guard var line = try? JSONEncoder().encode(answer) else { return }
        line.append(UInt8(ascii: "\n"))
        line.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while let base = UnsafeRawBufferPointer(rebasing: rest).baseAddress, !rest.isEmpty {
                let count = Glibc.write(STDOUT_FILENO, base, rest.count)
                guard count > 0 else { return }
                rest = rest.dropFirst(count)
            }
        }
    }
}

/// Runs an operation, and cancels it after `limit`.
private func withDeadline(_ limit: Duration, _ operation: @escaping @Sendable () async throws -> Void) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await operation() }
        group.addTask {
            try await Task.sleep(for: limit)
            throw CommandError(description: "command timed out after \(limit)")
        }
        defer { group.cancelAll() }
        try await group.next()
    }
}
