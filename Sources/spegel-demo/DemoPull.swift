import NIOHTTP1
import OCI

/// A pull like containerd's: the tag, then everything that it references down to the layers, with each digest checked.
final class DemoPull {
    private let node: DemoNode
    private let holders: [DemoNode]
    private(set) var report = (count: 0, bytes: Int64(0))

    init(node: DemoNode, holders: [DemoNode]) {
        self.node = node
        self.holders = holders
    }

    func pull(_ image: DemoImage) async throws {
        let reference = try Reference(image.reference)
        let tagged = try await checked(try await request(.manifest, reference), image.index.digest, "tag")
        var documents = [(image.index, tagged)]
        while let (descriptor, body) = documents.popLast() {
            let document = try Manifest(json: body)
            for child in document.children {
                let kind: DistributionRequest.Kind = document.isIndex ? .manifest : .blob
                let answer = try await request(kind, reference, digest: child.digest)
                let name = document.isIndex ? "manifest" : child == document.children.first ? "config" : "layer"
                let bytes = try await checked(answer, child.digest, name)
                guard answer.size == child.size else { throw DemoError("wrong size of \(descriptor.digest)") }
                if document.isIndex { documents.append((child, bytes)) }
            }
        }
    }

    func request(
        _ kind: DistributionRequest.Kind,
        _ reference: Reference,
        digest: Digest? = nil
    ) async throws -> HTTPFetch.Answer {
        guard let target = digest.map(DistributionRequest.Target.digest) ?? reference.tag.map({ .tag($0) }) else {
            throw DemoError("\(reference) has neither tag nor digest")
        }
        let request = DistributionRequest(
            kind: kind,
            repository: reference.repository,
            target: target,
            registry: reference.registry
        )
        return try await HTTPFetch.get(node.address, DemoNode.registryPort, request.path)
    }

    /// Checks a response and prints a line about it.
    private func checked(_ answer: HTTPFetch.Answer, _ digest: Digest, _ name: String) async throws -> [UInt8] {
        guard answer.status == 200 else { throw DemoError("\(name) \(digest): status \(answer.status)") }
        guard answer.digest == digest else {
            throw DemoError("\(name): expected digest \(digest), found \(answer.digest?.text ?? "none")")
        }
        let source = answer.headers.first(name: "X-Spegel-Source") ?? "unknown source"
        let holder = holders.first { source.hasPrefix($0.address + ":") }.map { "node \($0.number)" } ?? source
        let columns = [
            name.padded(8), "sha256:\(digest.hex.prefix(12))…", size(answer.size).paddedLeft(8), "from \(holder)",
            "in \(seconds(answer.time))",
        ]
        print("  " + columns.joined(separator: "  "))
        report.count += 1
        report.bytes += answer.size
        return answer.body ?? []
    }
}

extension String {
    fileprivate func padded(_ width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }

    fileprivate func paddedLeft(_ width: Int) -> String {
        String(repeating: " ", count: max(0, width - count)) + self
    }
}
