import HTTPClient
import Logging
import Multiformats
import NIOCore
import Routing

/// A probe of all addresses of a name, repeated until the cleanup is done on all of them several times in a row.
struct CleanupProbe {
    /// The time for one address to answer.
    static let answerTimeout = Duration.seconds(1)
    /// The number of addresses probed at a time.
    static let parallelism = 16

    let host: String
    let port: UInt16
    let threshold: Int
    let period: Duration
    let timeout: Duration
    let group: any EventLoopGroup
    let logger: Logger

    /// The time has passed before all nodes were done.
    struct NotDone: Error, CustomStringConvertible {
        let timeout: Duration
        let reason: String

        var description: String { "cleanup not done on all nodes within \(timeout): \(reason)" }
    }

    /// The failures of a round of probes.
    struct Missing: Error, CustomStringConvertible {
        let failures: [(address: IPAddress, reason: String)]
        let count: Int

        var description: String {
            let first = failures.prefix(3).map { "\($0.address): \($0.reason)" }.joined(separator: "; ")
            return "\(failures.count) of \(count) nodes are not done (\(first))"
        }
    }

    /// Returns when all nodes are done.
    ///
    /// - Throws: ``NotDone``, or `CancellationError`.
    func run() async throws {
        let end = ContinuousClock.now + timeout
        var successes = 0
        while true {
            do {
                let count = try await probeAll()
                successes += 1
                logger.info(
                    "cleanup done on all nodes",
                    metadata: ["nodes": "\(count)", "probe": "\(successes)/\(threshold)"]
                )
                if successes >= threshold { return }
            } catch is CancellationError {
                throw CancellationError()
            } catch {
                successes = 0
                logger.info("waiting for the cleanup", metadata: ["reason": "\(error)"])
                if ContinuousClock.now >= end { throw NotDone(timeout: timeout, reason: "\(error)") }
            }
            try await Task.sleep(for: period)
        }
    }

    /// Probes each address that the name has now.
    ///
    /// - Returns: the number of addresses.
    /// - Throws: ``Missing``, or the error of the name's resolution.
    private func probeAll() async throws -> Int {
        let addresses = try await DNSResolver.addresses(of: host)
        let failures = await withTaskGroup(of: (address: IPAddress, reason: String)?.self) { group in
            var failures: [(address: IPAddress, reason: String)] = []
            for (index, address) in addresses.enumerated() {
                if index >= Self.parallelism, let failure = await group.next() ?? nil { failures.append(failure) }
                group.addTask {
                    await probe(address).map { (address, $0) }
                }
            }
            for await failure in group {
                if let failure { failures.append(failure) }
            }
            return failures
        }
        try Task.checkCancellation()
        guard failures.isEmpty, !addresses.isEmpty else {
            throw Missing(failures: failures, count: addresses.count)
        }
        return addresses.count
    }

    /// Why the cleanup is not done at an address; `nil` if it is.
    private func probe(_ address: IPAddress) async -> String? {
        let client = HTTPClient(
            url: HTTPURL(isSecure: false, host: address.text, port: port),
            group: group,
            limit: 4096,
            keepsConnection: false
        )
        do {
            let response = try await client.send(HTTPRequest(path: "/healthz"), timeout: Self.answerTimeout)
            return response.status == 200 ? nil : "status \(response.status)"
        } catch {
            return "\(error)"
        }
    }
}
