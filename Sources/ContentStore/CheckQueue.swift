/// Which file is checked next. Whoever wants the same file checked waits for the same check; what somebody waits for comes
/// before what is only checked beside the serving, and never waits for more than one such check to end.
struct CheckQueue<Key: Hashable, Job, Waiter> {
    /// How many files may wait. Each is kept open; one that finds no place is checked when it is served next.
    static var limit: Int { 256 }
    /// How many checks run at a time: one of any kind, and one more of files that somebody waits for.
    static var width: Int { 2 }

    private struct Entry {
        var job: Job
        var isUrgent: Bool
        var isRunning = false
        var waiters: [Waiter]
    }

    private var entries: [Key: Entry] = [:]
    /// The keys that wait, in the order in which they came. Those that became urgent stand in both.
    private var urgent: [Key] = []
    private var others: [Key] = []
    private(set) var running = 0
    private var runningOthers = 0

    /// How many files wait or are being checked.
    var count: Int { entries.count }

    /// Whether there is something that one more worker could do now.
    var needsWorker: Bool {
        running < Self.width && (!urgent.isEmpty || (!others.isEmpty && runningOthers == 0))
    }

    /// Wants a file checked.
    ///
    /// - Returns: whether it will be; the waiter is kept then.
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

    /// What is to be checked now, by a worker more; `nil` when nothing is or enough run.
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

    /// A check has ended.
    ///
    /// - Returns: who waited for it.
    mutating func finish(_ key: Key) -> [Waiter] {
        guard let entry = entries[key], entry.isRunning else { return [] }
        entries[key] = nil
        running -= 1
        if !entry.isUrgent { runningOthers -= 1 }
        return entry.waiters
    }
}
