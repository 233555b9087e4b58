import Time

/// Selects the connections to close above the high-water mark.
enum ConnectionTrimming {
    /// - Parameters:
    ///   - connections: The use of each connection.
    ///   - limit: The maximum number of connections.
    /// - Returns: The positions of the connections to close: none in use, those unused for the longest time first, and
    ///   no more than necessary.
    static func excess(_ connections: [(isInUse: Bool, lastUse: MonotonicTime)], limit: Int) -> [Int] {
        let count = connections.count - limit
        guard count > 0 else { return [] }
        let idle = connections.indices.filter { !connections[$0].isInUse }
        return Array(idle.sorted { connections[$0].lastUse < connections[$1].lastUse }.prefix(count))
    }
}
