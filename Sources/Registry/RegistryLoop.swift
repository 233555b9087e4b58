import Listening
import NIOCore

/// What the connections of one event loop share, to be used there only.
final class RegistryLoop {
    let pool: PeerConnectionPool
    let sharedMirrors = SharedMirrors()
    /// Where the tasks run that work for one connection.
    let taskExecutor: EventLoopTaskExecutor

    init(eventLoop: any EventLoop, _ configuration: RegistryConfiguration) {
        pool = PeerConnectionPool(eventLoop: eventLoop, configuration)
        taskExecutor = EventLoopTaskExecutor(eventLoop)
    }
}
