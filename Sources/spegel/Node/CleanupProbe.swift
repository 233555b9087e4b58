import HTTPClient
import Logging
import Multiformats
import NIOCore
import Routing

/// Asks all addresses of a name whether their cleanup is done, until all say so several times in a row.
struct CleanupProbe {
    /// How long one address may take to answer.
    static let answerTimeout = Duration.seconds(1)
    /// How many addresses are asked at a time.
    static let parallelism = 16

    let host: String
    let port: UInt16
    let threshold: Int
    let period: Duration
    let timeout: Duration
    let group: any EventLoopGroup
    let logger: Logger

    /// Not all nodes have said in time that they are done.
    struct NotDone: Error, CustomStringConvertible {
        let timeout: Duration
        let reason: String

        var description: String { "the cleanup was not done on all nodes within \(timeout): \(reason)" }
    }

    /// Why a round of probes did not succeed.
    struct Missing: Error, CustomStringConvertible {
        let failures: [(address: IPAddress, reason: String)]
        let count: Int

        var description: String {
            let first = failures.prefix(3).map { "\($0.address): \($0.reason)" }.joined(separator: "; ")
            return "\(failures.count) of \(count) nodes do not say that they are done (\(first))"
        }
    }

    /// Returns when all are done.
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
                    "all nodes are done",
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

    /// Asks each address that the name has now.
    ///
    /// - Returns: how many there are.
    /// - Throws: ``Missing``, or why the name cannot be resolved.
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

    /// Why an address does not say that it is done; `nil` if it does.
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
