import Benchmark
import LibP2P
import NIOCore

/// Yamux between two sessions in memory.
func muxerBenchmarks() {
    let megabyte = ByteBuffer(repeating: 0x61, count: 1 << 20)

    for streams in [1, 16] {
        Benchmark("yamux: 1 MiB over \(streams) stream\(streams == 1 ? "" : "s")") { benchmark in
            var link = try YamuxLink(streams: streams)
            benchmark.startMeasurement()
            for _ in benchmark.scaledIterations { blackHole(try link.transfer(megabyte)) }
        }
    }

    Benchmark("reference: copy 1 MiB twice") { benchmark in
        var target = ByteBuffer()
        for _ in benchmark.scaledIterations {
            for _ in 0..<2 {
                target.clear()
                target.writeImmutableBuffer(megabyte)
            }
            blackHole(target)
        }
    }

    Benchmark("yamux: open and close a stream", configuration: .repeated(.kilo)) { benchmark in
        var link = try YamuxLink(streams: 1)
        benchmark.startMeasurement()
        for _ in benchmark.scaledIterations { try link.openAndClose() }
    }
}

/// Two sessions with the bytes between them.
private struct YamuxLink {
    private var dialer = YamuxSession(role: .dialer)
    private var listener = YamuxSession(role: .listener)
    private var ids: [UInt32] = []

    init(streams: Int) throws {
        for _ in 0..<streams { ids.append(try dialer.openStream()) }
        exchange()
    }

    /// Sends bytes, divided among the streams.
    mutating func transfer(_ bytes: ByteBuffer) throws -> Int {
        var rest = ids.map { _ in ByteBuffer() }
        var bytes = bytes
        let share = bytes.readableBytes / ids.count
        for index in rest.indices { rest[index] = bytes.readSlice(length: share) ?? ByteBuffer() }
        var received = 0
        while received < share * ids.count {
            for (index, id) in ids.enumerated() where rest[index].readableBytes > 0 {
                _ = try dialer.write(&rest[index], to: id)
            }
            let count = exchange()
            guard count > 0 else { throw BenchmarkFailure("no progress of the transfer") }
            received += count
        }
        return received
    }

    mutating func openAndClose() throws {
        let id = try dialer.openStream()
        dialer.finish(id)
        exchange()
        listener.finish(id)
        exchange()
    }

    /// Passes frames both ways until there are none. Returns the number of stream bytes that reached the listener.
    @discardableResult
    private mutating func exchange() -> Int {
        var received = 0
        while dialer.hasOutbound || listener.hasOutbound {
            while let frames = dialer.nextOutbound(maxBytes: 65519) {
                listener.receive(frames)
                while let event = listener.nextEvent() {
                    guard case .data(let id, let bytes) = event else { continue }
                    received += bytes.readableBytes
                    listener.consume(bytes.readableBytes, of: id)
                }
            }
            while let frames = listener.nextOutbound(maxBytes: 65519) {
                dialer.receive(frames)
                while dialer.nextEvent() != nil {}
            }
        }
        return received
    }
}
