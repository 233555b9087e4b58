import DebugAPI
import Glibc
import HTTPClient
import NIOPosix

/// What the check finds of the mirror and of the node behind it.
struct NodeFindings {
    /// A mirror and why it does not answer, if it does not.
    struct Mirror: Hashable {
        var url: String
        var reason: String?
    }

    /// How far the clock of the machine can be trusted.
    enum Clock: Hashable {
        /// A time service sets it.
        case synchronised
        /// No time service is known.
        case unsynchronised
        /// The clock says that this year is before the program was written.
        case wrong
    }

    var mirrors: [Mirror]
    /// The status of the node, or why it is unknown.
    var status: Result<NodeStatus, ConfigurationCheck.Reason>
    var clock: Clock

    /// Asks the mirrors and the node.
    static func find(mirrors: [String], node: HTTPURL) async -> NodeFindings {
        async let answers = withTaskGroup(of: (Int, Mirror).self) { group in
            for (position, url) in mirrors.enumerated() {
                group.addTask { (position, Mirror(url: url, reason: await reason(url))) }
            }
            var found: [(Int, Mirror)] = []
            for await answer in group { found.append(answer) }
            return found.sorted { $0.0 < $1.0 }.map(\.1)
        }
        let status: Result<NodeStatus, ConfigurationCheck.Reason>
        do {
            status = .success(try await NodeAPI(url: node, timeout: .seconds(3)).status().document)
        } catch {
            status = .failure(.init(error))
        }
        return NodeFindings(mirrors: await answers, status: status, clock: clock)
    }

    /// Why a mirror does not answer as a registry does.
    private static func reason(_ url: String) async -> String? {
        guard let parsed = HTTPURL(url) else { return "not an address that can be asked" }
        let client = HTTPClient(
            url: parsed,
            group: MultiThreadedEventLoopGroup.singleton,
            limit: 1 << 16,
            keepsConnection: false
        )
        do {
            let status = try await client.send(HTTPRequest(path: "/v2/"), timeout: .seconds(3)).status
            return status == 200 || status == 401 ? nil : "status \(status), expected a registry"
        } catch {
            return "\(error)"
        }
    }

    private static var clock: Clock {
        // 2024-01-01.
        if time(nil) < 1_704_067_200 { return .wrong }
        // systemd-timesyncd and chrony leave these while they run.
        let marks = ["/run/systemd/timesync/synchronized", "/run/chrony/chronyd.pid", "/var/run/chrony/chronyd.pid"]
        return marks.contains { access($0, F_OK) == 0 } ? .synchronised : .unsynchronised
    }
}
