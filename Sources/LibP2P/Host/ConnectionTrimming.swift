import NIOCore

/// Which connections make room when there are more than the high-water mark.
enum ConnectionTrimming {
    /// - Parameters:
    ///   - connections: How each is used.
    ///   - limit: How many may stay.
    /// - Returns: The positions of those to close: never one in use, the longest unused ones first, and no more than it
    ///   takes.
    static func excess(_ connections: [(isInUse: Bool, lastUse: NIODeadline)], limit: Int) -> [Int] {
        let count = connections.count - limit
        guard count > 0 else { return [] }
        let idle = connections.indices.filter { !connections[$0].isInUse }
        return Array(idle.sorted { connections[$0].lastUse < connections[$1].lastUse }.prefix(count))
    }
}
