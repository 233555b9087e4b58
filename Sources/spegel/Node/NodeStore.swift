import ContainerdStore
import ContentStore
import Glibc
import Logging
import NIOPosix
import ServiceLifecycle

/// The content that a node shares, with what must run for it.
struct NodeStore {
    let content: any ContentStore
    let name: String
    let services: [any Service]

    /// Whether the machine has IPv6 at all.
    static var hasIPv6: Bool { access("/proc/net/if_inet6", R_OK) == 0 }

    /// Opens the store that the options name: an image layout, else containerd.
    static func open(
        _ options: RegistryCommand,
        group: MultiThreadedEventLoopGroup,
        logger: Logger
    ) async throws -> NodeStore {
        if let path = options.store {
            return NodeStore(
                content: try ImageLayoutStore(path: path, logger: logger),
                name: "image layout \(path)",
                services: []
            )
        }
        if let fault = ContainerdStore.socketFault(path: options.containerdSock) { throw fault }
        let folder = options.containerdContentPath
        let hasFolder = !folder.isEmpty && access(folder, R_OK | X_OK) == 0
        let store = try ContainerdStore(
            socketPath: options.containerdSock,
            namespace: options.containerdNamespace,
            contentPath: hasFolder ? folder : nil,
            group: group,
            logger: logger
        )
        if !hasFolder {
            logger.notice(
                "the content folder of containerd is not within reach; content is read through the socket, which is slower",
                metadata: ["path": "\(folder)", "flag": "--containerd-content-path"]
            )
        }
        return NodeStore(
            content: store,
            name: "containerd at \(options.containerdSock)",
            services: [ContainerdService(store: store, logger: logger)]
        )
    }
}

/// Keeps the connection to containerd for as long as the node runs.
private struct ContainerdService: Service {
    let store: ContainerdStore
    let logger: Logger

    func run() async throws {
        try await withGracefulShutdownHandler {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await store.run() }
                group.addTask { await greet() }
                try await group.waitForAll()
            }
        } onGracefulShutdown: {
            store.close()
        }
    }

    /// Says which containerd this is, and what is wrong with its content folder.
    private func greet() async {
        do {
            let version = try await store.verify()
            logger.info("connected to containerd", metadata: ["version": "\(version)"])
            if let problem = try await store.contentFolderProblem() {
                logger.warning("content is read through the socket of containerd", metadata: ["reason": "\(problem)"])
            }
        } catch {
            // The state tracker waits for containerd and tells of it.
            logger.debug("containerd does not answer yet", metadata: ["reason": "\(error)"])
        }
    }
}
