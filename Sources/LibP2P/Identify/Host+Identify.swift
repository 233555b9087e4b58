import Logging
import Multiformats
import NIOCore
import Synchronization

extension Host {
    /// Sets the handlers of identify and ping.
    func setStandardHandlers() {
        _ = handlers.set({ await Ping.respond(on: $0) }, for: Ping.protocolID)
        _ = handlers.set({ [weak self] in await self?.answerIdentify(on: $0) }, for: IdentifyInfo.protocolID)
        _ = handlers.set({ [weak self] in await self?.receivePush(on: $0) }, for: IdentifyInfo.pushProtocolID)
    }

    /// The identify message of this host for a peer at `observedAddress`.
    private func ownInfo(observedAddress: Multiaddr) -> IdentifyInfo {
        var info = IdentifyInfo()
        info.publicKey = keyPair.publicKey.protobuf
        info.listenAddresses = listenAddresses
        info.protocols = handlers.names.sorted() + configuration.announcements
        info.observedAddress = observedAddress
        info.protocolVersion = configuration.protocolVersion
        info.agentVersion = configuration.agentVersion
        return info
    }

    private func answerIdentify(on stream: MuxedStream) async {
        do {
            try await stream.writeMessage(ownInfo(observedAddress: stream.remoteAddress).encoded())
            stream.close()
            resources.count { $0.identifySent += 1 }
        } catch {
            stream.reset()
        }
    }

    private func receivePush(on stream: MuxedStream) async {
        do {
            guard let message = try await readIdentify(from: stream) else { return stream.reset() }
            update(stream.remotePeer) { $0.merge(push: message) }
            stream.close()
        } catch {
            stream.reset()
            dropIfMalformed(error, stream.remotePeer)
        }
    }

    /// Disconnects a peer whose identify message is malformed.
    private func dropIfMalformed(_ error: any Error, _ peer: PeerID) {
        switch error {
        case StreamError.invalidMessage, is IdentifyError: break
        default: return
        }
        let connections = state.withLock { $0.table.connections[peer] ?? [] }
        for connection in connections { connection.drop(.malformedIdentify, "identify: \(error)") }
    }

    /// Requests the identify message of a newly connected peer.
    func identify(_ connection: Connection) async {
        do {
            let stream = try await connection.openStream(protocols: [IdentifyInfo.protocolID])
            guard let message = try await readIdentify(from: stream) else { throw StreamError.unexpectedEnd }
            stream.close()
            resources.count { $0.identifyReceived += 1 }
            update(connection.remotePeer) { $0 = message }
        } catch {
            logger.debug(
                "identify failed",
                metadata: [
                    "peer": "\(connection.remotePeer)", "address": "\(connection.remoteAddress)", "error": "\(error)",
                ]
            )
            dropIfMalformed(error, connection.remotePeer)
        }
    }

    private func readIdentify(from stream: MuxedStream) async throws -> IdentifyInfo? {
        let message = try await stream.readMessage(
            maxLength: IdentifyInfo.maxMessageLength,
            timeout: configuration.streamNegotiationTimeout
        )
        return try message.map { try IdentifyInfo(message: $0) }
    }

    private func update(_ peer: PeerID, _ change: (inout IdentifyInfo) -> Void) {
        state.withLock { state in
            guard state.table.connections[peer] != nil else { return }
            var info = state.table.identified[peer] ?? IdentifyInfo()
            change(&info)
            state.table.identified[peer] = info
            state.publish(.identified(peer, info))
        }
    }

    /// Pushes changes to the connected peers that support it.
    func pushIdentify() {
        let connections = state.withLock { state in
            state.table.connections.compactMap { peer, connections in
                state.table.identified[peer]?.protocols.contains(IdentifyInfo.pushProtocolID) == true
                    ? connections.first : nil
            }
        }
        for connection in connections {
            tasks.start { [weak self] in
                guard let self,
                    let stream = try? await connection.openStream(protocols: [IdentifyInfo.pushProtocolID])
                else { return }
                let info = ownInfo(observedAddress: connection.remoteAddress)
                do {
                    try await stream.writeMessage(info.encoded())
                    stream.close()
                } catch {
                    stream.reset()
                }
            }
        }
    }
}
