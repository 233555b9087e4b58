/// What the connections of one event loop share, to be used there only.
final class RegistryLoop {
    let pool: PeerConnectionPool
    let sharedMirrors = SharedMirrors()

    init(pool: PeerConnectionPool) {
        self.pool = pool
    }
}
