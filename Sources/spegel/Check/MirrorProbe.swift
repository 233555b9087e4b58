import HTTPClient
import Multiformats
import NIOCore
import NIOPosix

/// A look at a mirror's address: whether a Spegel answers there. Another program may have its port, such as a Service
/// of Kubernetes with the same node port.
struct MirrorProbe: Sendable {
    /// What answers at an address.
    enum Finding: Hashable, Sendable {
        /// A Spegel of any version.
        case spegel
        /// Nothing answers.
        case nothing
        /// Another program; with what gives it away.
        case stranger(String)
    }

    /// The time for each of two requests.
    private static let timeout = Duration.seconds(2)

    let url: HTTPURL
    let group: any EventLoopGroup

    /// Looks once.
    func find() async -> Finding {
        do {
            let base = try await status("/v2/")
            guard [200, 401, 403].contains(base) else { return .stranger("/v2/ answers with status \(base)") }
            // Registries have no readiness at their port, but Spegel does.
            let readiness = try await status("/readyz")
            guard [200, 503].contains(readiness) else { return .stranger("/readyz answers with status \(readiness)") }
            return .spegel
        } catch HTTPClientError.malformed, HTTPClientError.closed {
            return .stranger("it does not speak HTTP")
        } catch {
            return .nothing
        }
    }

    private func status(_ path: String) async throws -> Int {
        let client = HTTPClient(url: url, group: group, limit: 64 << 10, keepsConnection: false)
        return try await client.send(HTTPRequest(path: path), timeout: Self.timeout).status
    }

    /// Whether an address is one of this machine.
    static func isOnThisMachine(_ url: HTTPURL) -> Bool {
        guard let address = try? IPAddress(url.host) else { return url.host == "localhost" }
        if address.isLoopback { return true }
        let devices = (try? System.enumerateDevices()) ?? []
        return devices.contains { device in
            guard let text = device.address?.ipAddress, let own = try? IPAddress(text) else { return false }
            return own == address
        }
    }
}
