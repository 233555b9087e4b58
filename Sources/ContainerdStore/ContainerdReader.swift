import ContentStore
import OCI
import Synchronization

/// Reads content through containerd, for nodes that do not see its content folder.
///
/// Each chunk is a call of its own, made when it is asked for: so nothing is read ahead of a slow reader, an abandoned
/// stream leaves nothing behind, and each chunk has a call's deadline.
struct ContainerdReader: ContentReader {
    let connection: ContainerdConnection
    let digest: Digest
    let size: Int64
    /// Changes when the content is removed and put there anew. Labels do not change it, so that what is known of content
    /// outlasts them.
    let stamp: ContentStamp?

    var place: String { "the content store of containerd at \(connection.socketPath)" }

    /// The bytes of one chunk, of which a transfer has two in memory at most.
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

    /// Cuts a range into the parts that are read one after the other.
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

        /// Gives no more parts.
        func abandon() {
            rest.withLock { $0 = $0.upperBound..<$0.upperBound }
        }
    }
}
