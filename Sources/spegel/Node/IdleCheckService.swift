import ContentStore
import Registry
import ServiceLifecycle

/// Runs the checks of an idle node while the node runs.
struct IdleCheckService: Service {
    let checks: IdleChecks

    func run() async throws {
        await cancelWhenGracefulShutdown { await checks.run() }
        try? await gracefulShutdown()
    }
}
