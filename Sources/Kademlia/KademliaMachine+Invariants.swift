internal import Multiformats
import Time

/// What holds after each input, once its actions are taken.
extension KademliaMachine {
    /// Checks the invariants in debug builds. Those that take linear time are checked after as many inputs as there are
    /// elements to visit, so that an input of a large machine does not cost more.
    mutating func assertInvariants() {
        assert(checkCounts() == nil, checkCounts() ?? "")
        assert(!linearChecks.isDue(size: size) || checkInvariants() == nil, checkInvariants() ?? "")
    }

    /// The number of elements that ``checkInvariants()`` visits.
    private var size: Int {
        table.count + store.checkedPlaces + own.count + pendingRecordCount + operations.count + lookups.count
            + searches.count
            + admissions.count
    }

    /// Checks the limits and counts.
    ///
    /// - Returns: what does not hold; `nil` if all does. Takes constant time.
    private func checkCounts() -> String? {
        let inFlight = sharedLookups.count - queuedLookups.count
        if inFlight > configuration.maximumConcurrentLookups { return "searches: too many lookups in flight" }
        if queuedLookups.count > configuration.maximumWaitingLookups { return "searches: too many lookups queued" }
        if !queuedLookups.isEmpty, hasRoomForLookup { return "searches: a lookup is queued though there is room" }
        if outbox.activeCount > configuration.maximumConcurrentSends { return "outbox: too many sends in flight" }
        if admissions.checking > configuration.maximumConcurrentAdmissions { return "admissions: too many checks" }
        if isLeaving, !own.isEmpty || !advertising.announce.isEmpty { return "a leaving node provides keys" }
        if !isLeaving, !advertising.notified.isEmpty { return "peers were notified of no departure" }
        return nil
    }

    /// Checks all parts and how they agree with each other.
    ///
    /// - Returns: what does not hold; `nil` if all does. Takes linear time.
    func checkInvariants() -> String? {
        checkCounts() ?? table.checkInvariants() ?? store.checkInvariants() ?? advertising.checkInvariants(own: own)
            ?? checkOperations() ?? checkLookups() ?? checkSearches()
    }

    private func checkOperations() -> String? {
        var checked: Set<PeerID> = []
        var sends = 0
        for (id, operation) in operations {
            switch operation.purpose {
            case .admission: checked.insert(operation.peer.id)
            case .lookup(let lookup):
                guard lookups[lookup]?.operations.contains(id) == true else { return "a request has no lookup" }
            case .send:
                sends += 1
                guard outbox.operation(of: operation.peer.id) == id else { return "a send has no queue" }
            }
        }
        if sends != outbox.activeCount { return "a queue has two sends" }
        let violation =
            outbox.checkInvariants { id, peer in operations[id]?.peer.id == peer }
            ?? admissions.checkInvariants { checked.contains($0) }
        if let violation { return violation }
        return checkTimers()
    }

    private func checkTimers() -> String? {
        if let violation = timers.checkInvariants() { return violation }
        var timed: Set<OperationID> = []
        var due: [LookupID: Set<MonotonicTime>] = [:]
        for (time, event) in timers.all {
            switch event {
            case .operation(let id): timed.insert(id)
            case .lookup(let id): due[id, default: []].insert(time)
            }
        }
        if operations.keys.contains(where: { !timed.contains($0) }) { return "a request has no deadline" }
        for (id, active) in lookups {
            if let timer = active.timer, due[id]?.contains(timer) != true { return "a lookup has no timer" }
        }
        return nil
    }

    private func checkLookups() -> String? {
        var (neighbourhoods, refreshes, jobs, shared) = (0, 0, 0, 0)
        for (id, active) in lookups {
            if let violation = active.lookup.checkInvariants() { return violation }
            if active.operations.isEmpty { return "a lookup waits for nothing" }
            if active.operations.contains(where: { operations[$0] == nil }) { return "a lookup waits for no request" }
            switch active.purpose {
            case .neighbourhood: neighbourhoods += 1
            case .refresh: refreshes += 1
            case .advertising:
                jobs += 1
                if advertising.jobs[id] == nil { return "a region's lookup has no job" }
            case .search(let search):
                shared += 1
                if sharedLookups[search]?.lookup != id { return "a lookup has no search" }
            }
        }
        if neighbourhoods != (neighbourhood.isInFlight ? 1 : 0) { return "neighbourhood lookups are miscounted" }
        if refreshes != (neighbourhood.isRefreshing ? 1 : 0) { return "bucket refreshes are miscounted" }
        if jobs != advertising.jobs.count { return "a job has no lookup" }
        return shared == sharedLookups.count - queuedLookups.count ? nil : "a shared lookup is lost"
    }

    private func checkSearches() -> String? {
        var members = 0
        for (id, shared) in sharedLookups {
            members += shared.searches.count
            if shared.searches.isEmpty { return "searches: a lookup has no search" }
            if (shared.lookup == nil) != queuedLookups.contains(id) { return "searches: a lookup is not queued" }
            if lookupsByPosition[shared.key.position]?.contains(id) != true { return "searches: a lookup is not found" }
            for member in shared.searches {
                guard let search = searches[member], search.lookup == id, search.key == shared.key else {
                    return "searches: a lookup has a foreign search"
                }
                if search.limit > shared.limit { return "searches: a lookup finds too few for a search" }
            }
        }
        if members != searches.count { return "searches: a search never ends" }
        if lookupsByPosition.values.reduce(0, { $0 + $1.count }) != sharedLookups.count {
            return "searches: an ended lookup is found"
        }
        for search in searches.values {
            let found = Set(search.found.map(\.id))
            if found.count != search.found.count { return "searches: a provider is found twice" }
            if found.count > search.limit { return "searches: too many providers" }
            if found.contains(localPeer) { return "searches: this node is found" }
        }
        return nil
    }
}

/// Spreads a check that takes linear time: it is due after as many steps as it visits elements.
struct LinearChecks: Sendable {
    private var steps = 0

    mutating func isDue(size: Int) -> Bool {
        steps += 1
        guard steps >= size else { return false }
        steps = 0
        return true
    }
}
