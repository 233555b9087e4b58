/// A bounded queue of digest checks. Requests to check the same file share one check. Checks that a request waits for
/// (urgent) come before background checks, and wait for at most one of these to end.
struct CheckQueue<Key: Hashable, Job, Waiter> {
    /// The maximum number of files in the queue. Each stays open. A file above the limit is checked when next served.
    static var limit: Int { 256 }
    /// The maximum number of concurrent checks: one of any kind, and one more that is urgent.
    static var width: Int { 2 }

    private struct Entry {
        var job: Job
        var isUrgent: Bool
        var isRunning = false
        var waiters: [Waiter]
    }

    private var entries: [Key: Entry] = [:]
    /// The waiting keys in order of arrival. A key moves to `urgent` when it becomes urgent.
    private var urgent: [Key] = []
    private var others: [Key] = []
    private(set) var running = 0
    private var runningOthers = 0

    /// The number of files that wait or are being checked.
    var count: Int { entries.count }

    /// Whether one more worker would have work.
    var needsWorker: Bool {
        running < Self.width && (!urgent.isEmpty || (!others.isEmpty && runningOthers == 0))
    }

    /// Adds a file.
    ///
    /// - Returns: whether the queue has accepted it and keeps the waiter.
    mutating func add(_ key: Key, _ job: @autoclosure () -> Job, isUrgent: Bool, waiter: Waiter) -> Bool {
        if var known = entries.removeValue(forKey: key) {
            known.waiters.append(waiter)
            if isUrgent, !known.isUrgent, !known.isRunning {
                known.isUrgent = true
                others.removeAll { $0 == key }
                urgent.append(key)
            }
            entries[key] = known
            return true
        }
        guard entries.count < Self.limit else { return false }
        entries[key] = Entry(job: job(), isUrgent: isUrgent, waiters: [waiter])
        if isUrgent { urgent.append(key) } else { others.append(key) }
        return true
    }

    /// Starts the next check. Returns `nil` when the queue is empty or enough checks run.
    mutating func start() -> (key: Key, job: Job)? {
        guard running < Self.width else { return nil }
        let key: Key
        if !urgent.isEmpty {
            key = urgent.removeFirst()
        } else if !others.isEmpty, runningOthers == 0 {
            key = others.removeFirst()
            runningOthers += 1
        } else {
            return nil
        }
        guard var entry = entries[key] else { return nil }
        entry.isRunning = true
        entries[key] = entry
        running += 1
        return (key, entry.job)
    }

    /// Ends a check.
    ///
    /// - Returns: its waiters.
    mutating func finish(_ key: Key) -> [Waiter] {
        guard let entry = entries[key], entry.isRunning else { return [] }
        entries[key] = nil
        running -= 1
        if !entry.isUrgent { runningOthers -= 1 }
        return entry.waiters
    }
}
