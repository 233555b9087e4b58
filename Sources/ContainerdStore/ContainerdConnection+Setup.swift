internal import GRPCCore
internal import GRPCProtobuf
import Glibc
internal import SwiftProtobuf

extension ContainerdConnection {
    /// How containerd is set up: as its CRI plugin tells, and as the list of its plugins does.
    ///
    /// What it does not tell is no error: a containerd without CRI, or one that is older or newer.
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

    /// `nil` instead of an error with which containerd refuses; an error when it cannot be reached.
    private func optional<Answer>(_ body: () async throws -> Answer) async throws -> Answer? {
        do {
            return try await body()
        } catch ContainerdError.refused, ContainerdError.notContainerd {
            return nil
        }
    }

    private func plugins() async throws -> [Containerd_Services_Introspection_V1_Plugin] {
        let service = Containerd_Services_Introspection_V1_Introspection.Client(wrapping: client)
        return try await call("list its plugins", within: deadlines.call) { options in
            try await service.plugins(.init(), metadata: metadata, options: options).plugins
        }
    }

    private func server() async throws -> Containerd_Services_Introspection_V1_ServerResponse {
        let service = Containerd_Services_Introspection_V1_Introspection.Client(wrapping: client)
        return try await call("tell its process", within: deadlines.call) { options in
            try await service.server(.init(), metadata: metadata, options: options)
        }
    }

    private func criInfo() async throws -> [String: String] {
        let service = Runtime_V1_RuntimeService.Client(wrapping: client)
        return try await call("tell its set-up", within: deadlines.call) { options in
            try await service.status(.with { $0.verbose = true }, metadata: metadata, options: options).info
        }
    }

    /// The number of the namespace in which this process has its id, or 0 when it cannot be told.
    private static var ownProcessNamespace: UInt64 {
        var status = stat()
        return stat("/proc/self/ns/pid", &status) == 0 ? UInt64(status.st_ino) : 0
    }
}
