import ContentStore
import OCI
import Synchronization

/// Reads content through containerd's gRPC API, for nodes without access to its content folder.
///
/// Each chunk is one call, made on demand. So nothing is read ahead of a slow reader, an abandoned stream leaves
/// nothing behind, and each chunk has the deadline of a call.
struct ContainerdReader: ContentReader {
    let connection: ContainerdConnection
    let digest: Digest
    let size: Int64
    /// Changes when the content is removed and stored anew. Labels do not change it, so that check results outlive
    /// them.
    let stamp: ContentStamp?

    var place: String { "content store of containerd on \(connection.socketPath)" }

    /// The size of a chunk in bytes. A transfer has at most two in memory.
    static let chunkSize = 128 << 10

    func read(_ range: Range<Int64>) -> AsyncThrowingStream<[UInt8], any Error> {
        let parts = Parts(range: range)
        return AsyncThrowingStream { [self] in
            guard let part = parts.next() else { return nil }
            do {
                guard part.lowerBound >= 0, part.upperBound <= size else {
                    throw ContentError.truncated(at: size, expected: range.upperBound)
                }
                return try await connection.read(digest, from: part.lowerBound, count: part.count)
            } catch {
                parts.abandon()
                throw error
            }
        }
    }

    /// Splits a range into consecutive parts.
    final class Parts: Sendable {
        private let rest: Mutex<Range<Int64>>

        init(range: Range<Int64>) {
            rest = Mutex(range)
        }

        /// The next part, or `nil` at the end.
        func next() -> Range<Int64>? {
            rest.withLock { rest in
                guard !rest.isEmpty else { return nil }
                let (end, overflows) = rest.lowerBound.addingReportingOverflow(Int64(ContainerdReader.chunkSize))
                let part = rest.lowerBound..<(overflows ? rest.upperBound : min(end, rest.upperBound))
                rest = part.upperBound..<rest.upperBound
                return part
            }
        }

        /// Ends the parts early.
        func abandon() {
            rest.withLock { $0 = $0.upperBound..<$0.upperBound }
        }
    }
}
