internal import GRPCCore
internal import GRPCProtobuf
import Glibc
internal import SwiftProtobuf

extension ContainerdConnection {
    /// The configuration of containerd from its CRI plugin and its list of plugins.
    ///
    /// Missing details are no error: containerd may run without CRI, or be older or newer.
    func setup() async throws -> ContainerdSetup {
        var setup = ContainerdSetup(version: try await version())
        for plugin in try await optional({ try await plugins() }) ?? [] where plugin.type == "io.containerd.content.v1"
        {
            if let root = plugin.exports["root"], !root.isEmpty { setup.contentPath = root }
        }
        if let info = try await optional({ try await criInfo() }) {
            setup.hasCRI = true
            setup.add(criInfo: info)
        }
        if let server = try await optional({ try await server() }), server.pidns == Self.ownProcessNamespace {
            setup.processID = Int32(exactly: server.pid).flatMap { $0 > 0 ? $0 : nil }
        }
        return setup
    }

    /// Returns `nil` when containerd rejects a call. Throws when it is unreachable.
    private func optional<Answer>(_ body: () async throws -> Answer) async throws -> Answer? {
        do {
            return try await body()
        } catch ContainerdError.refused, ContainerdError.notContainerd {
            return nil
        }
    }

    private func plugins() async throws -> [Containerd_Services_Introspection_V1_Plugin] {
        let service = Containerd_Services_Introspection_V1_Introspection.Client(wrapping: client)
        return try await call("list plugins", within: deadlines.call) { options in
            try await service.plugins(.init(), metadata: metadata, options: options).plugins
        }
    }

    private func server() async throws -> Containerd_Services_Introspection_V1_ServerResponse {
        let service = Containerd_Services_Introspection_V1_Introspection.Client(wrapping: client)
        return try await call("get the process id", within: deadlines.call) { options in
            try await service.server(.init(), metadata: metadata, options: options)
        }
    }

    private func criInfo() async throws -> [String: String] {
        let service = Runtime_V1_RuntimeService.Client(wrapping: client)
        return try await call("get the CRI status", within: deadlines.call) { options in
            try await service.status(.with { $0.verbose = true }, metadata: metadata, options: options).info
        }
    }

    /// The number of this process's pid namespace, or 0 when it is unknown.
    private static var ownProcessNamespace: UInt64 {
        var status = stat()
        return stat("/proc/self/ns/pid", &status) == 0 ? UInt64(status.st_ino) : 0
    }
}
