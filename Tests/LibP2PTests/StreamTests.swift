import Multiformats
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import LibP2P

extension LoopbackTests {
    @Suite struct StreamTests {
        private func pattern(_ count: Int, seed: UInt64) -> ByteBuffer {
            var generator = SeededGenerator(seed: seed)
            var buffer = ByteBuffer()
            for _ in 0..<(count / 8) { buffer.writeInteger(generator.next()) }
            return buffer
        }

        @Test func fiftyStreamsTransferMebibytesBothWays() async throws {
            try await withHosts(2) { hosts in
                let (a, b) = (hosts[0], hosts[1])
                b.setHandler(for: "/echo", echo)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for index in 0..<50 {
                        group.addTask {
                            let sent = pattern(1 << 20, seed: UInt64(index))
                            let stream = try await a.openStream(to: b.info, protocols: ["/echo"])
                            async let writing: Void = {
                                try await stream.write(sent)
                                stream.closeWrite()
                            }()
                            var received = ByteBuffer()
                            while let bytes = try await stream.read(upTo: 100_000) {
                                received.writeImmutableBuffer(bytes)
                            }
                            try await writing
                            #expect(received == sent)
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(a.remoteAddresses(of: b.peerID).count == 1)
            }
        }

        @Test func transfersMessagesAboveWindow() async throws {
            try await withHosts(2) { hosts in
                let (a, b) = (hosts[0], hosts[1])
                b.setHandler(for: "/messages") { stream in
                    while let message = try? await stream.readMessage(maxLength: 4 << 20) {
                        try? await stream.writeMessage(message)
                    }
                    stream.close()
                }
                let stream = try await a.openStream(to: b.info, protocols: ["/messages"])
                for size in [0, 1, 300, 3 << 20, 8] {
                    let sent = pattern(size, seed: 1)
                    async let writing: Void = stream.writeMessage(sent)
                    let answer = try await stream.readMessage(maxLength: 4 << 20)
                    try await writing
                    #expect(answer == sent)
                }
                stream.closeWrite()
                #expect(try await stream.readMessage(maxLength: 10) == nil)
            }
        }

        @Test func exchangesMessagesUntilPeerEndsStream() async throws {
            try await withHosts(2) { hosts in
                hosts[1].setHandler(for: "/three") { stream in
                    for _ in 0..<3 {
                        guard let message = try? await stream.readMessage(maxLength: 4 << 20) else { return }
                        try? await stream.writeMessage(message)
                    }
                    stream.close()
                }
                let stream = try await hosts[0].openStream(to: hosts[1].info, protocols: ["/three"])
                // The second one is larger than the send queue.
                for size in [7, 3 << 20, 0] {
                    let sent = pattern(size, seed: 2)
                    #expect(try await stream.exchange(sent, maxLength: 4 << 20) == sent)
                }
                #expect(try await stream.exchange(ByteBuffer(string: "late"), maxLength: 10) == nil)
            }
        }

        @Test func exchangeEndsByTimeoutAndCancellation() async throws {
            try await withHosts(2) { hosts in
                hosts[1].setHandler(for: "/silent") { stream in
                    var isOpen = true
                    while isOpen { isOpen = (try? await stream.readMessage(maxLength: 100)) != nil }
                }
                let stream = try await hosts[0].openStream(to: hosts[1].info, protocols: ["/silent"])
                await #expect(throws: StreamError.timeout(.milliseconds(50))) {
                    try await stream.exchange(ByteBuffer(string: "a"), maxLength: 10, timeout: .milliseconds(50))
                }
                let exchange = Task { try await stream.exchange(ByteBuffer(string: "b"), maxLength: 10) }
                exchange.cancel()
                await #expect(throws: CancellationError.self) { try await exchange.value }
            }
        }

        @Test func rejectsLongMessages() async throws {
            try await withHosts(2) { hosts in
                hosts[1].setHandler(for: "/echo", echo)
                let stream = try await hosts[0].openStream(to: hosts[1].info, protocols: ["/echo"])
                try await stream.writeMessage(ByteBuffer(repeating: 1, count: 101))
                await #expect(throws: StreamError.self) { try await stream.readMessage(maxLength: 100) }
            }
        }

        @Test func waitsEndByTimeoutAndCancellation() async throws {
            try await withHosts(2) { hosts in
                hosts[1].setHandler(for: "/silent") { stream in
                    _ = try? await stream.read(upTo: 1, timeout: .seconds(30))
                }
                let stream = try await hosts[0].openStream(to: hosts[1].info, protocols: ["/silent"])
                await #expect(throws: StreamError.timeout(.milliseconds(50))) {
                    try await stream.read(upTo: 1, timeout: .milliseconds(50))
                }
                let reading = Task { try await stream.read(upTo: 1) }
                reading.cancel()
                await #expect(throws: CancellationError.self) { try await reading.value }
            }
        }

        @Test func fullQueueSuspendsWriter() async throws {
            try await withHosts(2) { hosts in
                hosts[1].setHandler(for: "/stalled") { stream in
                    try? await Task.sleep(for: .seconds(30))
                    stream.reset()
                }
                let stream = try await hosts[0].openStream(to: hosts[1].info, protocols: ["/stalled"])
                // Window and queue hold this; the next byte has no room.
                try await stream.write(ByteBuffer(repeating: 0, count: 256 * 1024))
                await #expect(throws: StreamError.timeout(.milliseconds(100))) {
                    try await stream.write(ByteBuffer(repeating: 0, count: 256 * 1024), timeout: .milliseconds(100))
                }
                // A part was sent, so the stream is unusable.
                await #expect(throws: StreamError.reset) { try await stream.write(ByteBuffer(string: "x")) }
                hosts[1].tasks.cancelAll()
            }
        }

        @Test func dropResetsStream() async throws {
            try await withHosts(2) { hosts in
                let (outcome, continuation) = AsyncStream.makeStream(of: String.self)
                hosts[1].setHandler(for: "/watch") { stream in
                    do {
                        let bytes = try await stream.read(upTo: 10)
                        continuation.yield(bytes.map { String(buffer: $0) } ?? "end")
                    } catch {
                        continuation.yield("\(error)")
                    }
                }
                var outcomes = outcome.makeAsyncIterator()
                _ = try await hosts[0].openStream(to: hosts[1].info, protocols: ["/watch"])
                #expect(await outcomes.next() == StreamError.reset.description)
                // Bytes written before an orderly end still arrive.
                do {
                    let stream = try await hosts[0].openStream(to: hosts[1].info, protocols: ["/watch"])
                    try await stream.write(ByteBuffer(string: "last"))
                    stream.closeWrite()
                }
                #expect(await outcomes.next() == "last")
            }
        }

        @Test func connectionStaysUsableAfterAbortedStreams() async throws {
            let seed: UInt64 = 0xAB0
            try await withHosts(2) { hosts in
                let (a, b) = (hosts[0], hosts[1])
                b.setHandler(for: "/echo", echo)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for index in 0..<100 {
                        group.addTask {
                            var generator = SeededGenerator(seed: seed &+ UInt64(index))
                            let stream = try await a.openStream(to: b.info, protocols: ["/echo"])
                            let size = Int.random(in: 1...400_000, using: &generator)
                            let writing = Task { try await stream.write(ByteBuffer(repeating: 5, count: size)) }
                            _ = try? await stream.read(upTo: Int.random(in: 1...100_000, using: &generator))
                            switch Int.random(in: 0..<3, using: &generator) {
                            case 0: stream.reset()
                            case 1: stream.close()
                            default: writing.cancel()
                            }
                            _ = await writing.result
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(try await a.ping(b.info) > .zero, "seed \(seed)")
                #expect(a.remoteAddresses(of: b.peerID).count == 1, "seed \(seed)")
                try await eventually { b.tasks.count == 0 }
            }
        }

        @Test func abruptEndFailsStreams() async throws {
            try await withHosts(2) { hosts in
                let (a, b) = (hosts[0], hosts[1])
                b.setHandler(for: "/echo", echo)
                let stream = try await a.openStream(to: b.info, protocols: ["/echo"])
                let connection = try #require(b.state.withLock { $0.table.connections[a.peerID]?.first })
                let reading = Task { try await stream.read(upTo: 1) }
                connection.channel.close(promise: nil)
                await #expect(throws: StreamError.self) { try await reading.value }
                try await eventually { a.connectedPeers.isEmpty && b.connectedPeers.isEmpty }
                // The next stream gets a new connection.
                #expect(try await a.ping(b.info) > .zero)
            }
        }

        @Test func resetsStreamsAboveLimit() async throws {
            try await withHosts(2, configure: { $0.maxInboundStreamsPerConnection = 4 }) { hosts in
                let (a, b) = (hosts[0], hosts[1])
                b.setHandler(for: "/hold") { stream in _ = try? await stream.read(upTo: 1) }
                try await a.connect(to: b.info)
                try await eventually { a.identifyInfo(of: b.peerID) != nil && b.tasks.count == 0 }
                var held: [MuxedStream] = []
                for _ in 0..<4 { held.append(try await a.openStream(to: b.info, protocols: ["/hold"])) }
                await #expect(throws: StreamError.reset) { try await a.openStream(to: b.info, protocols: ["/hold"]) }
                for stream in held { stream.close() }
                try await eventually { b.tasks.count == 0 }
                _ = try await a.openStream(to: b.info, protocols: ["/hold"])
            }
        }
    }
}
