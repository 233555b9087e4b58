import ContainerdStore
import Logging
import NIOPosix

/// A single request for the setup of a containerd.
enum ContainerdInquiry {
    /// The total time for containerd to answer.
    static let timeout = Duration.seconds(5)

    /// The setup, or why there is no answer.
    static func setup(socket: String) async -> Result<ContainerdSetup, ConfigurationCheck.Reason> {
        if let fault = ContainerdStore.socketProblem(path: socket) { return .failure(.init(fault)) }
        let store: ContainerdStore
        do {
            store = try ContainerdStore(
                socketPath: socket,
                namespace: ContainerdStore.Defaults.namespace,
                contentPath: nil,
                group: MultiThreadedEventLoopGroup.singleton,
                logger: Logger(label: "spegel") { _ in SwiftLogNoOpLogHandler() }
            )
        } catch {
            return .failure(.init(error))
        }
        let connection = Task { try await store.run() }
        defer {
            store.close()
            connection.cancel()
        }
        let deadline = ContinuousClock.now + timeout
        while true {
            do {
                return .success(try await store.setup())
            } catch {
                // The connection takes some time.
                guard ContinuousClock.now + .milliseconds(100) < deadline else { return .failure(.init(error)) }
                try? await Task.sleep(for: .milliseconds(100))
            }
        }
    }
}
