import NIOCore

/// What the connections of one event loop share, to be used there only.
final class RegistryLoop {
    let eventLoop: any EventLoop
    let pool: PeerConnectionPool
    let telemetry: LoopTelemetry
    let sharedMirrors = SharedMirrors()

    init(eventLoop: any EventLoop, _ configuration: RegistryConfiguration, _ telemetry: Telemetry) {
        self.eventLoop = eventLoop
        pool = PeerConnectionPool(eventLoop: eventLoop, configuration)
        self.telemetry = LoopTelemetry(telemetry)
    }
}
