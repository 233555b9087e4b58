import Benchmark
import NIOCore
import NIOEmbedded
import NIOHTTP1
import OCI
import Registry

/// The cost of a request before its content is looked up.
func registryBenchmarks() {
    let digest = "sha256:" + String(repeating: "0a", count: 32)
    let target = "/v2/library/alpine/blobs/\(digest)?ns=docker.io"
    let request = ByteBuffer(
        string: "GET \(target) HTTP/1.1\r\nHost: 127.0.0.1:5000\r\nUser-Agent: containerd/2.0\r\nAccept: */*\r\n\r\n"
    )

    Benchmark("registry: read a request's head and plan its answer", configuration: .repeated(.kilo)) { benchmark in
        let channel = EmbeddedChannel(handler: ByteToMessageHandler(HeadReading.makeRequestDecoder()))
        benchmark.startMeasurement()
        for _ in benchmark.scaledIterations {
            try channel.writeInbound(request)
            while let part = try channel.readInbound(as: HTTPServerRequestPart.self) {
                if case .head(let head) = part { blackHole(HeadReading.asksForContent(head)) }
            }
        }
        benchmark.stopMeasurement()
        _ = try channel.finish()
    }

    Benchmark("reference: read a request's head with NIO's decoder", configuration: .repeated(.kilo)) { benchmark in
        let channel = EmbeddedChannel(handler: ByteToMessageHandler(HTTPRequestDecoder()))
        benchmark.startMeasurement()
        for _ in benchmark.scaledIterations {
            try channel.writeInbound(request)
            while let part = try channel.readInbound(as: HTTPServerRequestPart.self) { blackHole(part) }
        }
        benchmark.stopMeasurement()
        _ = try channel.finish()
    }

    Benchmark("registry: read a request's path", configuration: .repeated(.kilo)) { benchmark in
        for _ in benchmark.scaledIterations { blackHole(try DistributionRequest.parse(target: target)) }
    }
}
