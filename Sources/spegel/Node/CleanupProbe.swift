import HTTPClient
import Kubernetes
import Logging
import Multiformats
import NIOCore
import Routing

/// A probe of all nodes, repeated until the cleanup is done on all of them several times in a row.
///
/// With a DaemonSet, the API server says which nodes there are to be. A node without a pod, or whose pod has no address
/// yet, is not done. Without one, the probe asks the addresses that the name has, and cannot notice such a node.
struct CleanupProbe {
    /// The time for one address, or the API server, to answer.
    static let answerTimeout = Duration.seconds(1)
    /// The time for the API server to answer.
    static let apiTimeout = Duration.seconds(10)
    /// The number of addresses probed at a time.
    static let parallelism = 16
    /// The number of nodes to name in a message.
    private static let namedNodes = 10

    let host: String
    let port: UInt16
    /// The DaemonSet of the cleanup, if the API server may be asked.
    let daemonSet: DaemonSetClient?
    let threshold: Int
    let period: Duration
    let timeout: Duration
    let group: any EventLoopGroup
    let logger: Logger

    /// The time has passed before all nodes were done.
    struct NotDone: Error, CustomStringConvertible {
        let timeout: Duration
        let reason: String

        var description: String {
            """
            cleanup not done on all nodes within \(timeout): \(reason). Remove the cause, then install the release again \
            with the same values, and uninstall it again: helm install RELEASE CHART --namespace NAMESPACE --values FILE \
            && helm uninstall RELEASE --namespace NAMESPACE
            """
        }
    }

    /// The nodes that are not done.
    struct Missing: Error, CustomStringConvertible {
        let failures: [(node: String, reason: String)]
        let count: Int

        var description: String {
            let first = failures.prefix(CleanupProbe.namedNodes).map { "\($0.node): \($0.reason)" }
            let more = failures.count > first.count ? ["…"] : []
            return "\(failures.count) of \(count) nodes are not done (\((first + more).joined(separator: "; ")))"
        }
    }

    /// The DaemonSet controller has not counted the nodes yet.
    private struct Uncounted: Error, CustomStringConvertible {
        let description = "Kubernetes has not counted the nodes of the cleanup yet"
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

    /// Probes each node once.
    ///
    /// - Returns: the number of nodes.
    /// - Throws: ``Missing``, or an error of the API server or of the name's resolution.
    private func probeAll() async throws -> Int {
        guard let daemonSet else {
            let addresses = try await DNSResolver.addresses(of: host)
            let failures = try await failures(of: addresses.map { (node: $0.text, address: $0.text) })
            guard failures.isEmpty, !addresses.isEmpty else {
                throw Missing(failures: failures, count: addresses.count)
            }
            return addresses.count
        }
        switch try await daemonSet.state(timeout: Self.apiTimeout) {
        case .uncounted: throw Uncounted()
        case .ready(let nodes): return nodes
        case .inProgress(let desired, let pods):
            let failures = try await failures(of: pods, desired: desired)
            guard failures.isEmpty else { throw Missing(failures: failures, count: desired) }
            return desired
        }
    }

    /// The nodes that are not done. A node with several pods is done when one of them is.
    private func failures(of pods: [DaemonSetPod], desired: Int) async throws -> [(node: String, reason: String)] {
        var nodes = Set(pods.filter(\.isReady).map(\.node))
        var waiting: [String: String] = [:]
        var asked: [(node: String, address: String)] = []
        for pod in pods where !pod.isReady {
            if let address = pod.address {
                asked.append((pod.node, address))
            } else {
                waiting[pod.node] = "its pod has no address yet" + (pod.waitsFor.map { ", \($0)" } ?? "")
            }
        }
        let silent = try await failures(of: asked)
        for (node, reason) in silent { waiting[node] = reason }
        let silentNodes = Set(silent.map(\.node))
        nodes.formUnion(asked.map(\.node).filter { !silentNodes.contains($0) })
        var failures = waiting.filter { !nodes.contains($0.key) }.map { (node: $0.key, reason: $0.value) }
            .sorted { $0.node < $1.node }
        let known = nodes.union(waiting.keys).count
        for _ in known..<max(known, desired) { failures.append((node: "a node", reason: "it has no pod yet")) }
        return failures
    }

    /// Asks addresses, and returns the nodes that are not done, in order.
    private func failures(
        of places: [(node: String, address: String)]
    ) async throws -> [(node: String, reason: String)] {
        let failures = await withTaskGroup(of: (node: String, reason: String)?.self) { group in
            var failures: [(node: String, reason: String)] = []
            for (index, place) in places.enumerated() {
                if index >= Self.parallelism, let failure = await group.next() ?? nil { failures.append(failure) }
                group.addTask {
                    await probe(place.address).map { (place.node, $0) }
                }
            }
            for await failure in group {
                if let failure { failures.append(failure) }
            }
            return failures
        }
        try Task.checkCancellation()
        return failures.sorted { $0.node < $1.node }
    }

    /// Why the cleanup is not done at an address; `nil` if it is.
    private func probe(_ address: String) async -> String? {
        guard let address = try? IPAddress(address) else { return "unusable address \(address)" }
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
