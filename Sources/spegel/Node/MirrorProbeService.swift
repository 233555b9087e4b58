import HTTPClient
import Logging
import NIOCore
import ServiceLifecycle
import Synchronization

/// Watches the addresses where containerd is to reach this node, and logs when another program answers there.
final class MirrorProbeService: Service {
    /// The time between two looks; the first ones come sooner.
    private static let intervals = (first: Duration.seconds(5), longest: Duration.seconds(60))

    private let probes: [MirrorProbe]
    private let logger: Logger
    private let strangers = Mutex<[String: String]>([:])

    init(_ urls: [HTTPURL], group: any EventLoopGroup, logger: Logger) {
        probes = urls.map { MirrorProbe(url: $0, group: group) }
        self.logger = logger
    }

    /// A note for the readiness while another program has an address; else `nil`. The node is ready nevertheless: its
    /// peers and other mirrors lead to it.
    var note: String? {
        guard let (url, reason) = strangers.withLock({ $0.min { $0.key < $1.key } }) else { return nil }
        return "another program answers containerd at \(url): \(reason)"
    }

    func run() async throws {
        try? await cancelWhenGracefulShutdown {
            var interval = Self.intervals.first
            while true {
                for probe in self.probes { self.record(probe, await probe.find()) }
                try await Task.sleep(for: interval)
                interval = min(interval * 2, Self.intervals.longest)
            }
        }
    }

    private func record(_ probe: MirrorProbe, _ finding: MirrorProbe.Finding) {
        let url = "\(probe.url)"
        switch finding {
        // Silence says nothing: the way to the node's own address may be closed to the node itself.
        case .nothing: break
        case .spegel:
            guard strangers.withLock({ $0.removeValue(forKey: url) }) != nil else { return }
            logger.info("mirror address answers as Spegel again", metadata: ["address": "\(url)"])
        case .stranger(let reason):
            guard strangers.withLock({ $0.updateValue(reason, forKey: url) }) == nil else { return }
            logger.warning(
                "another program answers at the mirror address, containerd cannot reach this node there",
                metadata: [
                    "address": "\(url)", "reason": "\(reason)",
                    "advice": "free the port, or choose another with service.registry.hostPort of the Helm chart",
                ]
            )
        }
    }
}
