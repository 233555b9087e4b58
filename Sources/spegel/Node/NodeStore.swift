import ContainerdStore
import ContentStore
import Glibc
import Logging
import NIOPosix
import ServiceLifecycle

/// The content that a node shares, with the services that it needs.
struct NodeStore {
    let content: any ContentStore
    let name: String
    /// The containerd that holds the content, if one does.
    let containerd: ContainerdStore?
    let services: [any Service]

    /// Whether the machine has IPv6.
    static var hasIPv6: Bool { access("/proc/net/if_inet6", R_OK) == 0 }

    /// Opens the store that the options name: an image layout, else containerd.
    static func open(
        _ options: RegistryCommand,
        group: MultiThreadedEventLoopGroup,
        logger: Logger
    ) async throws -> NodeStore {
        if let path = options.store {
            return NodeStore(
                content: CheckedStore(
                    try ImageLayoutStore(path: path, logger: logger),
                    advice: "put a good copy in its place, and check the disk",
                    logger: logger
                ),
                name: "image layout \(path)",
                containerd: nil,
                services: []
            )
        }
        if let fault = ContainerdStore.socketFault(path: options.containerdSock) { throw fault }
        // The folder may not exist yet: containerd creates it, and may start later.
        let folder = options.containerdContentPath
        let store = try ContainerdStore(
            socketPath: options.containerdSock,
            namespace: options.containerdNamespace,
            contentPath: folder.isEmpty ? nil : folder,
            group: group,
            logger: logger
        )
        return NodeStore(
            content: CheckedStore(
                store,
                advice: "remove the images that use it from this node and pull them again, and check the disk",
                logger: logger
            ),
            name: "containerd at \(options.containerdSock)",
            containerd: store,
            services: [ContainerdService(store: store)]
        )
    }
}

/// Keeps the connection to containerd while the node runs.
private struct ContainerdService: Service {
    let store: ContainerdStore

    func run() async throws {
        try await withGracefulShutdownHandler {
            try await store.run()
        } onGracefulShutdown: {
            store.close()
        }
    }
}
